//! Rules of this repository that no compiler checks: what the papers promise, where `unsafe` may stand, which
//! conformance tests exist.
//!
//! Each rule is a function from texts to a list of what is wrong with them, so that the rules have tests themselves (at the
//! end); the tests at the top give them the repository's files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Rows of `tests/CONFORMANCE.md` whose test is still to be written. A row whose test exists may not stand here.
const PENDING: &[&str] = &[];

/// The ids that the table has: prefix, how many, digits.
const CONFORMANCE: [(&str, usize, usize); 14] = [
    ("PROC", 27, 3),
    ("OTP-PS", 52, 2),
    ("OTP-TM", 21, 2),
    ("SUP", 23, 3),
    ("OTP-SV", 44, 2),
    ("DSUP", 33, 3),
    ("PSUP", 15, 3),
    ("GSV", 21, 3),
    ("OTP-GS", 42, 2),
    ("OTP-PL", 17, 2),
    ("AGT", 11, 3),
    ("TASK", 89, 3),
    ("TSUP", 31, 3),
    ("PUB", 56, 3),
];

#[test]
fn readme_has_the_two_commands() {
    assert_clean(quick_start_problems(&read("README.md")));
}

#[test]
fn changelog_has_the_current_version() {
    assert_clean(changelog_problems(&read("CHANGELOG.md"), env!("CARGO_PKG_VERSION")));
}

#[test]
fn unsafe_stands_in_raw_modules_only() {
    let sources =
        texts(|path| path.starts_with("crates/") && path.contains("/src/") && path.ends_with(".rs"));
    assert!(!sources.is_empty(), "no sources found");
    assert_clean(sources.iter().flat_map(|(path, text)| unsafe_problems(path, text)));
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    assert_clean(texts(|_| true).iter().flat_map(|(path, text)| machine_path_problems(path, text)));
}

#[test]
fn conformance_table_is_true() {
    let tests: BTreeSet<String> = texts(|path| path.starts_with("crates/") && path.ends_with(".rs"))
        .values()
        .flat_map(|text| functions(text))
        .filter(|name| row_of(name).is_some())
        .collect();
    assert_clean(conformance_problems(&read("tests/CONFORMANCE.md"), &tests, PENDING));
}

#[track_caller]
fn assert_clean(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<String> = problems.into_iter().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[track_caller]
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The repository's text files by path, without what git ignores.
fn texts(wanted: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let paths = paths_in_git().unwrap_or_else(|| {
        // Unpacked from an archive: everything that is there, without what a build leaves behind.
        let mut paths = Vec::new();
        walk(&root(), "", &mut paths);
        paths
    });
    // What is deleted but not yet committed is still listed; what is not UTF-8 is no text.
    let text = |path: String| fs::read_to_string(root().join(&path)).ok().map(|text| (path, text));
    paths.into_iter().filter(|path| wanted(path)).filter_map(text).collect()
}

fn paths_in_git() -> Option<Vec<String>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(list).current_dir(root()).output().ok()?;
    let paths = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| paths.split_terminator('\0').map(String::from).collect())
}

fn walk(directory: &Path, prefix: &str, paths: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            if name != "target" && name != ".git" {
                walk(&entry.path(), &format!("{prefix}{name}/"), paths);
            }
        } else {
            paths.push(format!("{prefix}{name}"));
        }
    }
}

/// The first code block under "Quick start" is the two commands and nothing else.
fn quick_start_problems(readme: &str) -> Vec<String> {
    let section = readme.split("\n## Quick start\n").nth(1).unwrap_or_default();
    let block: Vec<&str> = section
        .lines()
        .skip_while(|line| !line.starts_with("```"))
        .skip(1)
        .take_while(|line| !line.starts_with("```"))
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .collect();
    match block[..] {
        ["cargo run --release", "cargo test"] => vec![],
        _ => vec![format!("README.md: expected the two commands under `## Quick start`, got {block:?}")],
    }
}

fn changelog_problems(changelog: &str, version: &str) -> Vec<String> {
    let has = |entry: &str| {
        let heading = changelog.lines().find_map(|line| {
            let title = line.strip_prefix("## ")?.trim_start_matches('[');
            title.strip_prefix(entry)
        });
        heading.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '.'))
    };
    match has("Unreleased") || has(version) {
        true => vec![],
        false => vec![format!("CHANGELOG.md: expected an entry `## Unreleased` or `## {version}`")],
    }
}

fn unsafe_problems(path: &str, text: &str) -> Vec<String> {
    if path.contains("/raw/") {
        return vec![];
    }
    let code = code_only(text);
    let lines = (1..).zip(code.lines()).filter(|(_, line)| words(line).any(|word| word == "unsafe"));
    lines.map(|(line, _)| format!("{path}:{line}: `unsafe` outside of a `raw` module")).collect()
}

fn machine_path_problems(path: &str, text: &str) -> Vec<String> {
    // Put together here, or this file would be the first to break the rule.
    let machine_paths = ["work", "farm"].map(|directory| format!("/{directory}/"));
    let starts_a_path = |line: &str, at: usize| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
    };
    let bad = |line: &str| {
        machine_paths
            .iter()
            .any(|bad| line.match_indices(bad.as_str()).any(|(at, _)| starts_a_path(line, at)))
    };
    let lines = (1..).zip(text.lines()).filter(|(_, line)| bad(line));
    lines.map(|(line, _)| format!("{path}:{line}: names a path of one machine")).collect()
}

/// One row of the conformance table.
struct Row<'a> {
    id: &'a str,
    tests: Vec<&'a str>,
    reason: &'a str,
}

fn conformance_problems(table: &str, tests: &BTreeSet<String>, pending: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for line in table.lines().filter(|line| CONFORMANCE.iter().any(|(prefix, ..)| is_row(line, prefix))) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, names, reason] = cells[..] else {
            problems.push(format!("expected id, test and reason, got `{line}`"));
            continue;
        };
        let tests = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if rows.insert(id, Row { id, tests, reason }).is_some() {
            problems.push(format!("{id}: listed twice"));
        }
    }
    let ids = |(prefix, count, digits)| (1..=count).map(move |number| format!("{prefix}-{number:0digits$}"));
    let ids: BTreeSet<String> = CONFORMANCE.into_iter().flat_map(ids).collect();
    problems.extend(ids.iter().filter(|id| !rows.contains_key(&***id)).map(|id| format!("{id}: not listed")));
    problems.extend(rows.keys().filter(|id| !ids.contains(**id)).map(|id| format!("{id}: no such id")));
    problems.extend(rows.values().flat_map(|row| row_problems(row, tests, pending.contains(&row.id))));
    for name in tests {
        let listed = rows.values().any(|row| row.tests.contains(&&**name));
        if !listed {
            problems.push(format!("{name}: a test that no row lists"));
        }
    }
    let unknown = pending.iter().filter(|id| !rows.contains_key(**id));
    problems.extend(unknown.map(|id| format!("{id}: pending, but not listed")));
    problems
}

fn is_row(line: &str, prefix: &str) -> bool {
    let rest = line.strip_prefix("| ").and_then(|line| line.strip_prefix(prefix));
    rest.and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn row_problems(row: &Row, tests: &BTreeSet<String>, pending: bool) -> Vec<String> {
    let Row { id, tests: named, reason } = row;
    if named.is_empty() {
        let is_sentence = reason.ends_with('.') && reason.split_whitespace().count() >= 4;
        return match (is_sentence, pending) {
            (false, _) => vec![format!("{id}: has neither a test nor a reason in a sentence")],
            (true, true) => vec![format!("{id}: pending, but does not apply")],
            (true, false) => vec![],
        };
    }
    let mut problems = Vec::new();
    if !reason.is_empty() {
        problems.push(format!("{id}: has a test and a reason why there is none"));
    }
    for name in named {
        if row_of(name).as_deref() != Some(id) {
            problems.push(format!("{id}: `{name}` does not start with the id"));
        }
        match (tests.contains(*name), pending) {
            (false, false) => problems.push(format!("{id}: `{name}` does not exist")),
            (true, true) => problems.push(format!("{id}: `{name}` exists, take {id} out of PENDING")),
            _ => {}
        }
    }
    problems
}

/// The id with which a test's name starts: `proc_001_dictionary` is of row `PROC-001`.
fn row_of(name: &str) -> Option<String> {
    CONFORMANCE.iter().find_map(|(prefix, _, digits)| {
        let rest = name.strip_prefix(&prefix.to_lowercase().replace('-', "_"))?.strip_prefix('_')?;
        let (number, rest) = rest.split_at_checked(*digits)?;
        let ends = rest.is_empty() || rest.starts_with('_');
        let is_number = number.chars().all(|c| c.is_ascii_digit());
        (ends && is_number).then(|| format!("{prefix}-{number}"))
    })
}

/// The names of all functions in `source`.
fn functions(source: &str) -> Vec<String> {
    let code = code_only(source);
    let mut words = words(&code);
    let mut names = Vec::new();
    while words.by_ref().any(|word| word == "fn") {
        names.extend(words.next().map(String::from));
    }
    names
}

/// The identifiers, keywords and numbers of `code`.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// `source` without its comments and without what is inside its string and character literals; lines keep their numbers.
fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => 1 + quoted(&rest[1..], '"'),
            'r' if !after_word => raw_string(rest),
            'b' | 'c' if !after_word && rest[1..].starts_with('r') => match raw_string(&rest[1..]) {
                0 => 0,
                length => 1 + length,
            },
            '\'' => character(rest),
            _ => 0,
        };
        match skipped {
            0 => code.push(first),
            _ => {
                code.push(' ');
                code.extend(rest[..skipped].chars().filter(|&c| c == '\n'));
            }
        }
        rest = &rest[skipped.max(first.len_utf8())..];
    }
    code
}

/// The length of the block comment at the start of `text`; they nest.
fn block_comment(text: &str) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < text.len() {
        let rest = &text[at..];
        at += match rest {
            _ if rest.starts_with("/*") => {
                depth += 1;
                2
            }
            _ if rest.starts_with("*/") => {
                depth -= 1;
                2
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    at
}

/// The length of `text` up to and with the closing quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the raw string at the start of `text`, 0 when there is none.
fn raw_string(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|&c| c == '#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 0;
    }
    let body = 2 + hashes;
    let end = format!("\"{}", "#".repeat(hashes));
    text[body..].find(&end).map_or(text.len(), |at| body + at + end.len())
}

/// The length of the character literal at the start of `text`, 0 when it is a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => 1 + quoted(&text[1..], '\''),
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 0,
    }
}

/// The rules themselves: each passes what is right and names what is not.
mod rules {
    use super::*;

    #[test]
    fn quick_start_is_two_commands() {
        let readme =
            "# ibeam\n\n## Quick start\n\n```sh\ncargo run --release   # the demo\ncargo test\n```\n";
        assert!(quick_start_problems(readme).is_empty());
        assert_eq!(quick_start_problems(&readme.replace("cargo test", "make")).len(), 1);
        assert_eq!(quick_start_problems(&readme.replace("cargo test", "cargo test\nmake")).len(), 1);
        assert_eq!(quick_start_problems("").len(), 1);
    }

    #[test]
    fn changelog_needs_the_version_or_unreleased() {
        assert!(changelog_problems("## Unreleased\n", "0.1.0").is_empty());
        assert!(changelog_problems("# Changes\n\n## [0.1.0] - today\n", "0.1.0").is_empty());
        assert_eq!(changelog_problems("## 0.1.0.1\n## 0.1.01\n", "0.1.0").len(), 1);
    }

    #[test]
    fn unsafe_in_code_is_found_where_it_must_not_be() {
        let code = "// unsafe\nfn f() { let c = '\"'; unsafe { g() } }\nlet s = \"unsafe\"; unsafe_code();\n";
        assert_eq!(unsafe_problems("crates/a/src/b.rs", code).len(), 1);
        assert!(unsafe_problems("crates/a/src/b.rs", code)[0].starts_with("crates/a/src/b.rs:2:"));
        assert!(unsafe_problems("crates/a/src/raw/b.rs", code).is_empty());
    }

    #[test]
    fn code_has_no_comments_and_no_literals() {
        let left = |source: &str| words(&code_only(source)).collect::<Vec<_>>().join(" ");
        assert_eq!(left("a /* b /* c */ d */ e // f\ng"), "a e g");
        assert_eq!(left(r##"a "b \" c" d r#"e " f"# g br"h" i"##), "a d g i");
        assert_eq!(left(r"fn f<'a>(x: &'a str) { '\''; 'ü'; y }"), "fn f a x a str y");
        assert_eq!(left("for r in bar {}"), "for r in bar");
        assert_eq!(code_only("/*\n*/\"\n\"").matches('\n').count(), 2);
    }

    #[test]
    fn machine_paths_are_found() {
        let bad = ["cd /", "work/main"].concat();
        assert_eq!(machine_path_problems("x", &bad).len(), 1);
        assert!(machine_path_problems("x", "https://example.org/work/of/others").is_empty());
        assert!(machine_path_problems("x", "net/work and ./work/x").is_empty());
    }

    /// A whole table of reasons, in which the first row is replaced.
    fn table(first: &str) -> String {
        let mut rows: Vec<String> = Vec::new();
        for (prefix, count, digits) in CONFORMANCE {
            rows.extend(
                (1..=count).map(|n| format!("| {prefix}-{n:0digits$} | | It does not apply here. |")),
            );
        }
        rows[0] = first.to_string();
        rows.join("\n")
    }

    #[track_caller]
    fn check(first: &str, tests: &[&str], pending: &[&str], problem: Option<&str>) {
        let tests = tests.iter().map(|test| test.to_string()).collect();
        let problems = conformance_problems(&table(first), &tests, pending);
        assert_eq!(problems.iter().map(String::as_str).collect::<Vec<_>>(), Vec::from_iter(problem));
    }

    #[test]
    fn conformance_rows_are_held_against_the_tests() {
        let row = "| PROC-001 | proc_001_a | |";
        check(row, &["proc_001_a"], &[], None);
        check("| PROC-001 | proc_001_a, proc_001_b | |", &["proc_001_a", "proc_001_b"], &[], None);
        check(row, &[], &["PROC-001"], None);
        check(row, &[], &[], Some("PROC-001: `proc_001_a` does not exist"));
        check(
            row,
            &["proc_001_a"],
            &["PROC-001"],
            Some("PROC-001: `proc_001_a` exists, take PROC-001 out of PENDING"),
        );
        check(row, &["proc_001_a", "proc_001_b"], &[], Some("proc_001_b: a test that no row lists"));
        check(row, &["proc_001_a"], &["PROC-999"], Some("PROC-999: pending, but not listed"));
        check(
            "| PROC-001 | | no |",
            &[],
            &[],
            Some("PROC-001: has neither a test nor a reason in a sentence"),
        );
        check(
            "| PROC-001 | | It needs nodes here. |",
            &[],
            &["PROC-001"],
            Some("PROC-001: pending, but does not apply"),
        );
        check("", &[], &[], Some("PROC-001: not listed"));
        let more = format!("{row}\n| PROC-028 | | It does not apply here. |");
        check(&more, &["proc_001_a"], &[], Some("PROC-028: no such id"));
        check(
            "| PROC-001 | proc_002_a | |",
            &["proc_002_a"],
            &[],
            Some("PROC-001: `proc_002_a` does not start with the id"),
        );
        let twice = format!("{row}\n{row}");
        check(&twice, &["proc_001_a"], &[], Some("PROC-001: listed twice"));
        let both = "| PROC-001 | proc_001_a | It does not apply here. |";
        check(both, &["proc_001_a"], &[], Some("PROC-001: has a test and a reason why there is none"));
    }

    #[test]
    fn a_pending_row_with_a_test_of_another_name_is_found() {
        check(
            "| PROC-001 | proc_001_a | |",
            &["proc_001_b"],
            &["PROC-001"],
            Some("proc_001_b: a test that no row lists"),
        );
    }

    #[test]
    fn test_names_lead_to_rows() {
        assert_eq!(row_of("proc_001_dictionary").as_deref(), Some("PROC-001"));
        assert_eq!(row_of("otp_ps_25").as_deref(), Some("OTP-PS-25"));
        assert_eq!(row_of("otp_ps_250_no"), None);
        assert_eq!(row_of("process_001"), None);
        assert_eq!(functions("fn a() { fn otp_tm_01_b() {} } // fn c()"), ["a", "otp_tm_01_b"]);
    }
}
