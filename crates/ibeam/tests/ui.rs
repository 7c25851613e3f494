//! The compiler errors that users see: each program in `ui/` is refused, with exactly the words in the file beside it.
//!
//! The words are partly rustc's own, which changes them from version to version. So they are compared with one version of
//! rustc, and not with others. After a change on purpose, or with a newer rustc in `RUSTC_MINOR`:
//!
//! ```sh
//! TRYBUILD=overwrite cargo test -p ibeam --test ui
//! ```

use std::process::Command;

/// The rustc that wrote the `.stderr` files: 1.95.
const RUSTC_MINOR: u32 = 95;

#[test]
#[expect(clippy::print_stderr, reason = "says what was not tested")]
fn compiler_errors() {
    let found = rustc_version();
    if minor_of(&found) != Some(RUSTC_MINOR) {
        eprintln!("skipped: the words are those of rustc 1.{RUSTC_MINOR}, this is {found}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

#[test]
fn the_version_is_read_from_what_rustc_says() {
    assert_eq!(minor_of("rustc 1.95.0 (59807616e 2026-04-14)"), Some(95));
    // Nightly and beta have words of their own.
    assert_eq!(minor_of("rustc 1.95.0-nightly (59807616e 2026-02-01)"), None);
    assert_eq!(minor_of("rustc 1.95.0-beta.3 (59807616e 2026-03-01)"), None);
    assert_eq!(minor_of("something else"), None);
}

/// What the rustc says that trybuild is going to use.
fn rustc_version() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output().expect("cargo found a rustc too");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

fn minor_of(version: &str) -> Option<u32> {
    let release = version.strip_prefix("rustc 1.")?.split(' ').next()?;
    let (minor, patch) = release.split_once('.')?;
    patch.parse::<u32>().ok()?;
    minor.parse().ok()
}
