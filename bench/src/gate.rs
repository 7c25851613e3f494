//! The gate against regressions: instructions of the hot paths, counted by callgrind, against limits in the repository.
//!
//! Wall time is never a gate: it depends on the machine and on who else is on it. Instructions hardly do: on the inline
//! driver one thread does everything, so that a count repeats to a fraction of a per cent.
//!
//! Each path is gone `n` and `2n` times, each time in a process of its own; the difference over `n` is what one costs, and
//! neither start nor end of the program is in it.
//!
//! # Why not a harness
//! gungraun (once iai-callgrind) is well kept, but needs a second program that cargo has to install in exactly the crate's
//! version, which costs CI more than the counting, and it compares with the run before where we want limits that are
//! reviewed. What is left of it here is a call of `valgrind` and a subtraction.

mod paths;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum HotPath {
    /// A message to a process that does not run meanwhile
    Send,
    /// A message to oneself, and its receipt
    SendReceive,
    /// A call to a server, with a timeout, and its reply
    Call,
    /// A process that ends at once, and its monitor's news
    SpawnExit,
    /// A timer armed and cancelled
    Timer,
    /// A name looked up
    Lookup,
    /// A server told to crash, started again by its supervisor, and a call to it
    Restart,
    /// A key taken in a registry, and given back
    Register,
    /// A task spawned, and awaited with a timeout
    Task,
    /// A child of a dynamic supervisor started, and terminated
    Child,
}

/// How often, the first time; the second time twice as often.
impl HotPath {
    fn count(self) -> u64 {
        match self {
            HotPath::Restart => 1_000,
            _ => 20_000,
        }
    }

    fn name(self) -> String {
        self.to_possible_value().expect("no path is hidden").get_name().to_string()
    }
}

/// Goes a path in this process.
///
/// # Errors
/// When a result was wrong, or without ibeam.
pub(crate) fn go(path: HotPath, count: u64) -> Result<(), String> {
    paths::go(path, count)
}

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/gate.txt");

/// Counts all paths and compares them with the limits, or makes them the new limits.
///
/// # Errors
/// When a path costs more than its limit allows, or could not be counted.
pub(crate) fn run(write: bool) -> Result<(), String> {
    let limits = Limits::read(Path::new(FILE));
    let mut counts = Vec::new();
    for &path in HotPath::value_variants() {
        let instructions = instructions_each(path)?;
        println!("{:<14} {instructions:>10.1} instructions", path.name());
        counts.push((path.name(), instructions));
    }
    if write {
        let room_percent = limits.map_or(DEFAULT_ROOM_PERCENT, |limits| limits.room_percent);
        let text = Limits { room_percent, paths: counts }.to_text();
        return fs::write(FILE, text).map_err(|error| format!("{FILE}: {error}"));
    }
    let findings = limits?.compare(&counts)?;
    findings.iter().for_each(|finding| println!("{finding}"));
    println!("all hot paths are within their limits");
    Ok(())
}

fn instructions_each(path: HotPath) -> Result<f64, String> {
    let (once, twice) = (instructions(path, path.count())?, instructions(path, 2 * path.count())?);
    let difference =
        twice.checked_sub(once).ok_or_else(|| format!("{}: twice costs less than once", path.name()))?;
    Ok(difference as f64 / path.count() as f64)
}

/// All instructions of a process that goes the path so many times.
fn instructions(path: HotPath, count: u64) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| format!("own path unknown: {error}"))?;
    let file = OutFile(std::env::temp_dir().join(format!("ibeam-gate-{}.callgrind", std::process::id())));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.0.display()))
        .arg(program)
        .args(["path", &path.name(), &count.to_string()])
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            format!("`valgrind` cannot be run ({error}): on Debian `apt-get install valgrind`")
        })?;
    if !output.status.success() {
        return Err(format!("{}: {}", path.name(), String::from_utf8_lossy(&output.stderr).trim()));
    }
    let text = fs::read_to_string(&file.0).map_err(|error| format!("{}: {error}", file.0.display()))?;
    total(&text).ok_or_else(|| format!("{}: callgrind's output has no total", path.name()))
}

/// Callgrind's output, removed when it has been read.
struct OutFile(PathBuf);

impl Drop for OutFile {
    fn drop(&mut self) {
        // It may not have been written.
        let _ = fs::remove_file(&self.0);
    }
}

/// The number of instructions in callgrind's output: its own sum.
fn total(text: &str) -> Option<u64> {
    let value = |name| text.lines().find_map(|line| line.strip_prefix(name));
    value("summary:").or_else(|| value("totals:"))?.trim().parse().ok()
}

const DEFAULT_ROOM_PERCENT: f64 = 5.0;

/// What one of each path may cost.
#[derive(Debug, PartialEq)]
struct Limits {
    /// By how much a count may be above its limit: another compiler orders instructions otherwise.
    room_percent: f64,
    /// Name and instructions.
    paths: Vec<(String, f64)>,
}

impl Limits {
    fn read(path: &Path) -> Result<Limits, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Limits::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Limits, String> {
        let mut limits = Limits { room_percent: DEFAULT_ROOM_PERCENT, paths: Vec::new() };
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (name, value) =
                line.split_once(' ').ok_or_else(|| format!("line {number}: `{line}` has no number"))?;
            let value: f64 =
                value.trim().parse().map_err(|_| format!("line {number}: `{value}` is no number"))?;
            match name {
                "room_percent" => limits.room_percent = value,
                name => limits.paths.push((name.to_string(), value)),
            }
        }
        Ok(limits)
    }

    fn to_text(&self) -> String {
        let mut text = String::from(
            "# Instructions that one of each hot path costs, and by how many per cent it may cost more.\n\
             # Compared by `bench/run gate`, written anew by `bench/run gate --write`.\n",
        );
        text.push_str(&format!("room_percent {}\n", self.room_percent));
        for (name, instructions) in &self.paths {
            text.push_str(&format!("{name} {}\n", instructions.round()));
        }
        text
    }

    /// What is worth saying when nothing is over its limit.
    ///
    /// # Errors
    /// When something is, or a path has no limit, or a limit has no path.
    fn compare(&self, counts: &[(String, f64)]) -> Result<Vec<String>, String> {
        let (mut over, mut findings) = (Vec::new(), Vec::new());
        let room = self.room_percent / 100.0;
        for (name, count) in counts {
            let Some((_, limit)) = self.paths.iter().find(|(path, _)| path == name) else {
                over.push(format!("{name}: {count:.0} instructions, and no limit"));
                continue;
            };
            let change = (count / limit - 1.0) * 100.0;
            if *count > limit * (1.0 + room) {
                over.push(format!(
                    "{name}: {count:.0} instructions, {change:+.1} % against the limit of {limit:.0}"
                ));
            } else if *count < limit * (1.0 - room) {
                findings.push(format!("{name} has become cheaper by {:.1} %: write the limit anew", -change));
            }
        }
        for (path, _) in &self.paths {
            if counts.iter().all(|(name, _)| name != path) {
                over.push(format!("{path}: a limit, and no such path"));
            }
        }
        match over.is_empty() {
            true => Ok(findings),
            false => Err(format!(
                "{}\n(the room is {} %; if this is meant: `bench/run gate --write`, and say why in the commit)",
                over.join("\n"),
                self.room_percent
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::parse("# why\nroom_percent 5\nsend 100 # each\n\ncall 400\n").unwrap()
    }

    fn counts(send: f64, call: f64) -> Vec<(String, f64)> {
        vec![("send".into(), send), ("call".into(), call)]
    }

    #[test]
    fn limits_are_what_was_written() {
        assert_eq!(limits().room_percent, 5.0);
        assert_eq!(Limits::parse(&limits().to_text()), Ok(limits()));
        assert_eq!(Limits::parse("send"), Err("line 1: `send` has no number".into()));
        assert_eq!(Limits::parse("\nsend much"), Err("line 2: `much` is no number".into()));
    }

    #[test]
    fn a_count_within_the_room_passes_and_one_above_does_not() {
        assert_eq!(limits().compare(&counts(105.0, 400.0)), Ok(vec![]));
        let error = limits().compare(&counts(106.0, 400.0)).unwrap_err();
        assert!(error.starts_with("send: 106 instructions, +6.0 % against the limit of 100\n"), "{error}");
    }

    #[test]
    fn a_count_far_below_is_worth_a_word() {
        let findings = limits().compare(&counts(50.0, 400.0)).unwrap();
        assert_eq!(findings, ["send has become cheaper by 50.0 %: write the limit anew"]);
    }

    #[test]
    fn a_path_without_limit_and_a_limit_without_path_are_errors() {
        assert!(limits().compare(&[("send".into(), 100.0)]).unwrap_err().starts_with("call: a limit"));
        let mut more = counts(100.0, 400.0);
        more.push(("spawn".into(), 1.0));
        assert!(limits().compare(&more).unwrap_err().starts_with("spawn: 1 instructions, and no limit"));
    }

    #[test]
    fn the_total_is_read_from_callgrinds_output() {
        assert_eq!(total("events: Ir\nsummary: 1234\nfn=(1)\n"), Some(1234));
        assert_eq!(total("events: Ir\nfn=(1)\ntotals: 77\n"), Some(77));
        assert_eq!(total("nothing"), None);
    }

    #[test]
    fn every_path_has_a_limit_in_the_repository() {
        let limits = Limits::read(Path::new(FILE)).unwrap();
        let counts: Vec<_> = limits.paths.iter().map(|(name, limit)| (name.clone(), *limit)).collect();
        let names: Vec<_> = HotPath::value_variants().iter().map(|path| path.name()).collect();
        assert_eq!(counts.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names);
        assert_eq!(limits.compare(&counts), Ok(vec![]));
    }

    #[cfg(feature = "ibeam")]
    #[test]
    fn every_path_can_be_gone() {
        for &path in HotPath::value_variants() {
            go(path, 20).unwrap();
        }
    }
}
