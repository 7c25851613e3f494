//! Elixir on the BEAM: the modules of `elixir/` in a BEAM of their own, which takes this process' place.
//!
//! They are compiled at first use, and again when the program has changed. Sizes are handed over on the command line, so
//! that they are the other systems' own.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::cell::LIMIT;
use crate::check::Wrong;
use crate::systems::Plan;
use crate::workloads::*;

const SOURCE: &str = include_str!("../../elixir/bench.ex");

/// What Elixir does for a workload.
///
/// # Errors
/// Why it does not do it.
pub(super) fn plan(workload: Workload) -> Plan {
    match workload {
        Workload::Echo1 | Workload::Echo64 => {
            Err("not written: what is measured there is the driver of sockets")
        }
        // The name has to be that of a clause of `Bench.run`.
        workload if SOURCE.contains(&format!("def run(\"{}\"", workload.name())) => {
            Ok(Box::new(move || run(workload)))
        }
        _ => Err("not written for this system yet"),
    }
}

/// The versions of Elixir and OTP.
///
/// # Errors
/// Why there are none.
pub(super) fn version() -> Result<String, String> {
    let missing = |error| format!("`elixir` cannot be run ({error}): on Debian `apt-get install elixir`");
    let said = Command::new("elixir").arg("--version").stdin(Stdio::null()).output().map_err(missing)?;
    let said = String::from_utf8_lossy(&said.stdout);
    read_version(&said).ok_or_else(|| format!("`elixir --version` said `{}`", said.trim()))
}

/// From the two lines that `elixir --version` prints.
fn read_version(said: &str) -> Option<String> {
    let otp = said.lines().find_map(|line| line.strip_prefix("Erlang/OTP ")?.split(' ').next())?;
    let elixir = said.lines().find_map(|line| line.strip_prefix("Elixir ")?.split(' ').next())?;
    let jit = if said.contains("[jit") { "with JIT" } else { "without JIT" };
    Some(format!("{elixir} on OTP {otp} {jit}"))
}

/// The directory of the compiled modules.
fn compiled() -> Result<PathBuf, Wrong> {
    let program = std::env::current_exe().map_err(|error| Wrong::failed("own path", error))?;
    let target = program.with_file_name("elixir");
    // Written last, so that a compilation that was interrupted is repeated.
    let stamp = target.join("bench.ex");
    if fs::read_to_string(&stamp).is_ok_and(|source| source == SOURCE) {
        return Ok(target);
    }
    let source = target.join("new").join("bench.ex");
    fs::create_dir_all(target.join("new")).map_err(|error| Wrong::failed("directory for Elixir", error))?;
    fs::write(&source, SOURCE).map_err(|error| Wrong::failed("source of Elixir", error))?;
    let output = Command::new("elixirc")
        .arg("-o")
        .args([&target, &source])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Wrong::failed("elixirc", error))?;
    if !output.status.success() {
        return Err(Wrong::failed("elixirc", String::from_utf8_lossy(&output.stderr)));
    }
    fs::rename(&source, &stamp).map_err(|error| Wrong::failed("source of Elixir", error))?;
    Ok(target)
}

fn sizes() -> Vec<String> {
    let sizes = [
        ("limit_ms", LIMIT.as_millis() as u64),
        ("call_timeout", CALL_TIMEOUT.as_millis() as u64),
        ("warm_up", WARM_UP),
        ("sequential_calls", SEQUENTIAL_CALLS),
        ("clients", CLIENTS),
        ("calls_per_client", CALLS_PER_CLIENT),
        ("casts", CASTS),
        ("senders", SENDERS),
        ("pairs", PAIRS),
        ("trips_per_pair", TRIPS_PER_PAIR),
        ("ring", RING as u64),
        ("hops", HOPS),
        ("skynet_branches", SKYNET_BRANCHES),
        ("skynet_leaves", SKYNET_LEAVES),
        ("skynet_processes", SKYNET_PROCESSES),
        ("spawns", SPAWNS),
        ("spawn_batch", SPAWN_BATCH),
        ("idle", IDLE),
        ("settle_ms", SETTLE.as_millis() as u64),
        ("idle_watch_ms", IDLE_WATCH.as_millis() as u64),
        ("fair_pairs", FAIR_PAIRS),
        ("fair_calls", FAIR_CALLS),
        ("fair_period_ms", FAIR_PERIOD.as_millis() as u64),
        ("hogs", HOGS),
        ("hog_time_ms", HOG_TIME.as_millis() as u64),
        ("restarts", RESTARTS),
        ("children", CHILDREN),
        ("children_million", CHILDREN_MILLION),
        ("tasks", TASKS),
        ("stream_width", STREAM_WIDTH as u64),
        ("subscribers", SUBSCRIBERS),
        ("broadcasts", BROADCASTS),
        ("registered", REGISTERED),
        ("readers", READERS),
        ("lookups_per_reader", LOOKUPS_PER_READER),
        ("dispatches", DISPATCHES),
        ("table_keys", TABLE_KEYS),
        ("table_users", TABLE_USERS),
        ("table_lookups", TABLE_LOOKUPS),
        ("table_write_every", TABLE_WRITE_EVERY),
        ("table_inserts", TABLE_INSERTS),
        ("table_ranges", TABLE_RANGES),
        ("table_range", TABLE_RANGE),
    ];
    sizes.iter().map(|(name, size)| format!("{name}={size}")).collect()
}

/// Returns only when the BEAM could not be started: otherwise it takes this process' place and prints the figures itself.
fn run(workload: Workload) -> Result<Vec<f64>, Wrong> {
    let error = Command::new("elixir")
        .args(["--erl", &format!("+P 4000000 +S {WORKERS}:{WORKERS}"), "-pa"])
        .arg(compiled()?)
        .args(["-e", "Bench.main(System.argv())", "--", &workload.name()])
        .args(sizes())
        .exec();
    Err(Wrong::failed("elixir", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_elixir_says() {
        let said = "Erlang/OTP 25 [erts-13.1.5] [source] [64-bit] [smp:2:2] [jit:ns]\n\nElixir 1.14.0 (compiled with Erlang/OTP 24)\n";
        assert_eq!(read_version(said).as_deref(), Some("1.14.0 on OTP 25 with JIT"));
        assert_eq!(read_version("sh: not found"), None);
    }

    #[test]
    fn the_program_asks_for_no_size_that_is_not_handed_over() {
        let sizes = sizes();
        let asked = SOURCE.split("size(:").skip(1).filter_map(|rest| rest.split(')').next());
        let mut count = 0;
        for name in asked {
            assert!(sizes.iter().any(|size| size.starts_with(&format!("{name}="))), "{name}");
            count += 1;
        }
        assert!(count > 20, "{count}");
    }
}
