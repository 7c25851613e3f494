//! The `ibeam` command. `ibeam demo`, which is also what it does without a word, starts the demo server.
//!
//! For Unix: it stops at SIGTERM and Ctrl-C, and raises the limit of open files. The libraries have no such bounds.

mod demo;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use ibeam::prelude::*;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Registry, fmt, reload};

use demo::options::{Cli, DemoOptions};
use demo::server::Demo;

fn main() -> ExitCode {
    let options = Cli::parse().into_demo();
    let log_level = log_warnings();
    allow_files(options.max_clients);
    // A process for each client, and as many again for what they have going.
    let processes = 2 * options.max_clients as usize + options.shards() + 1_000;
    let runtime = Runtime::builder().workers(options.workers()).max_processes(processes).build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(serve(options, log_level)).map_err(|reason| reason.to_string()),
        Err(error) => Err(format!("the runtime did not start: {error}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes what happens to standard error: warnings and errors, until the level is changed.
///
/// A supervision tree reports each child that it starts. While the demo starts nobody needs that, who sees the greeting; when a
/// child comes back after a crash, it is what one wants to see.
fn log_warnings() -> reload::Handle<LevelFilter, Registry> {
    let (level, handle) = reload::Layer::new(LevelFilter::WARN);
    let stderr = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    tracing_subscriber::registry().with(level).with(stderr).init();
    handle
}

/// Raises the limit of open files as far as we may, if it is too low for all clients.
fn allow_files(clients: u32) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let wanted = u64::from(clients) + FILES_OF_OUR_OWN;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let possible = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let raised = rustix::process::Rlimit { current: Some(possible), ..limit };
    if setrlimit(Resource::Nofile, raised).is_err() || possible < wanted {
        tracing::warn!(
            "--max-clients {clients} needs {wanted} open files, and the system's limit is lower (`ulimit -Hn`): clients may \
             have to wait for others to go"
        );
    }
}

/// Open files beside the clients' sockets: the listener, the I/O driver, standard streams, and clients being refused.
const FILES_OF_OUR_OWN: u64 = 128;

/// Runs the demo until somebody asks for its end.
async fn serve(
    options: DemoOptions,
    log_level: reload::Handle<LevelFilter, Registry>,
) -> Result<(), ExitReason> {
    let listen = options.listen;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // The tree is linked to this process. If it gives up, that is a message here and the end.
    process::trap_exit(true);
    let demo = match Demo::start(options).await {
        Ok(demo) => demo,
        Err(reason) => return Err(ExitReason::other(format!("cannot serve on {listen}: {reason}"))),
    };
    // Before the greeting: who has read that may do something that is to be seen.
    log_level.modify(|level| *level = LevelFilter::INFO).map_err(ExitReason::error)?;
    greet(&demo);
    let why = tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
        () = demo.shutdown_asked() => "SHUTDOWN",
        Exit { reason, .. } = exit_message() => return Err(ExitReason::other(format!("the supervision tree gave up: {reason}"))),
    };
    tracing::info!("{why}: finishing what is in flight");
    tokio::select! {
        stopped = demo.stop() => stopped.map_err(ExitReason::error)?,
        _ = interrupt.recv() => return Err(ExitReason::other("interrupted while it was stopping")),
    }
    tracing::info!("stopped");
    Ok(())
}

async fn exit_message() -> Exit {
    receive! { exit: Exit => exit }
}

#[expect(clippy::print_stdout, reason = "the command's own output")]
fn greet(demo: &Demo) {
    let (ip, port) = (demo.address().ip(), demo.address().port());
    println!(
        "ibeam demo listens on {ip}:{port} (Redis' protocol). Try:\n\
         \n  redis-cli -p {port} set greeting hello ex 60\
         \n  redis-cli -p {port} subscribe news        and elsewhere: redis-cli -p {port} publish news hi\
         \n  redis-cli -p {port} debug crash shard     and watch it come back\
         \n  redis-cli -p {port} info tree             and see who supervises whom\
         \n  redis-benchmark -p {port} -t ping,set,get,incr,mset -n 200000 -c 50 -P 16 -q\
         \n\nCtrl-C stops it; `--help` explains every option."
    );
}
