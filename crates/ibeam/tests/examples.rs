//! The examples print what their headers say they print.
//!
//! `cargo test` builds a package's examples next to its tests, so they are run from there: no second build, and the same
//! profile and flags as this test. (`cargo test --test examples` alone does not build them.)

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn agent() {
    check("agent");
}

#[test]
fn counter() {
    check("counter");
}

#[test]
fn kitchen() {
    check("kitchen");
}

#[test]
fn supervised() {
    check("supervised");
}

#[test]
fn supervision_tree() {
    check("supervision_tree");
}

#[test]
fn pubsub() {
    check("pubsub");
}

#[test]
fn rooms() {
    check("rooms");
}

#[test]
fn tasks() {
    check("tasks");
}

#[test]
fn processes() {
    check("processes");
}

#[test]
fn inside_tokio() {
    check("inside_tokio");
}

#[test]
fn every_example_is_run_here() {
    let tests = fs::read_to_string(source("tests/examples.rs")).unwrap();
    for entry in fs::read_dir(source("examples")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert!(
            tests.contains(&format!("check(\"{name}\")")),
            "expected a test that runs the example `{name}`"
        );
    }
}

#[track_caller]
fn check(name: &str) {
    let header = header(&fs::read_to_string(source(&format!("examples/{name}.rs"))).unwrap());
    let command = format!("cargo run -p ibeam --example {name}\n");
    assert_eq!(block(&header, "```sh\n"), Some(command.as_str()), "the command in the header");
    let expected = block(&header, "prints\n\n```text\n").expect("the header says what the example prints");

    let ran = Command::new(built(name)).output().unwrap();
    let (printed, said) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "`{name}` ended with {}:\n{printed}{said}", ran.status);
    assert_eq!(printed, expected, "what `{name}` prints; on standard error:\n{said}");
}

/// The text of the `//!` lines at the top.
fn header(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
}

/// What stands between `open` and the end of that block.
fn block<'a>(header: &'a str, open: &str) -> Option<&'a str> {
    header.split_once(open)?.1.split_once("```").map(|(text, _)| text)
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// This test is `<target>/<profile>/deps/examples-<hash>`, the examples are in `<target>/<profile>/examples`.
#[track_caller]
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let example = profile.join("examples").join(format!("{name}{EXE_SUFFIX}"));
    assert!(example.exists(), "expected the example at {}: run `cargo test -p ibeam`", example.display());
    example
}
