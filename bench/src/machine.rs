//! Where and when a run took place.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    /// The compiler in the `PATH`, which has built this program if it was started as the README says.
    pub(crate) rustc: String,
    /// The commit of this repository, with `-dirty` when there were changes.
    pub(crate) commit: String,
}

impl Machine {
    pub(crate) fn this() -> Machine {
        let uname = rustix::system::uname();
        Machine {
            cpu: entry("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: entry("/proc/meminfo", "MemTotal").and_then(|text| gibibytes(&text)).unwrap_or(0.0),
            kernel: format!(
                "{} {} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy(),
                uname.machine().to_string_lossy()
            ),
            rustc: said(Command::new("rustc").arg("--version")),
            commit: said(Command::new("git").args([
                "-C",
                env!("CARGO_MANIFEST_DIR"),
                "describe",
                "--always",
                "--dirty",
                "--abbrev=12",
                "--exclude=*",
            ])),
        }
    }
}

/// The first line that a program prints.
fn said(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.and_then(|text| text.lines().next().map(String::from)).unwrap_or_else(|| "unknown".into())
}

/// The value of the first line `name : value` of a file in /proc.
fn entry(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let (_, value) = text.lines().find(|line| line.starts_with(name))?.split_once(':')?;
    Some(value.trim().to_string())
}

fn gibibytes(text: &str) -> Option<f64> {
    let kilobytes: f64 = text.strip_suffix("kB")?.trim().parse().ok()?;
    Some((kilobytes / 1024.0 / 1024.0 * 10.0).round() / 10.0)
}

/// The time now, as `2026-11-27 20:15:00 UTC`.
pub(crate) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    utc(since.as_secs())
}

/// Seconds since 1970 as date and time, by Howard Hinnant's `civil_from_days`.
fn utc(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years begin in March, so that the leap day is the last.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year_of_era + era * 400 + next_year;
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_827_696), "2000-02-29 12:34:56 UTC");
        assert_eq!(utc(1_795_737_600), "2026-11-27 00:00:00 UTC");
    }

    #[test]
    fn this_machine_says_who_it_is() {
        let machine = Machine::this();
        assert!(machine.cores > 0 && machine.memory_gib > 0.1, "{machine:?}");
        assert!(machine.kernel.starts_with("Linux "), "{machine:?}");
    }
}
