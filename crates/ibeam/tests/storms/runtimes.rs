//! A runtime started and stopped again and again in one program: no thread, no descriptor and no memory is left behind.

use std::time::Duration;

use ibeam::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::scale::{Program, alone, pick};

struct Echo;

#[gen_server]
impl Echo {
    async fn init(_: ()) -> Init<Self> {
        Init::ok(Echo)
    }

    #[call]
    async fn echo(&mut self, text: String) -> String {
        text
    }
}

/// Some of everything: servers under a supervisor, timers, a socket, processes that are still there at the end.
async fn life() {
    let supervisor =
        Supervisor::new(Strategy::OneForOne).child(Echo::child(()).name("echo")).start_link().await.unwrap();
    let echo = ServerRef::<Echo>::named("echo");
    assert_eq!(echo.echo("hello".into()).await.unwrap(), "hello");
    process::kill(echo.pid().unwrap());
    assert_eq!(echo.echo("again".into()).wait_for_name().await.or_else(retry).unwrap(), "again");
    process::send_after(process::self_pid(), "never", Duration::from_secs(3600));
    for _ in 0..100 {
        process::spawn(std::future::pending::<()>());
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    process::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"over a socket").await.unwrap();
    });
    let mut got = String::new();
    listener.accept().await.unwrap().0.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "over a socket");
    assert_eq!(supervisor.count_children().await.unwrap().active, 1);
}

/// The call may have met the killed one before its end.
fn retry(error: CallError) -> Result<String, CallError> {
    match error {
        CallError::Exited { reason: ExitReason::Killed, .. } => Ok("again".into()),
        error => Err(error),
    }
}

#[test]
fn a_thousand_runtimes_leave_nothing_behind() {
    let _alone = alone();
    let rounds = pick(40, 1_000);
    let mut warm = None;
    for round in 0..rounds {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        runtime.block_on(life());
        runtime.shutdown(Duration::from_secs(60)).unwrap();
        // The first ones fill what is kept for the next.
        if round == rounds / 4 {
            warm = Some(Program::now());
        }
    }
    let (warm, end) = (warm.unwrap(), Program::now());
    assert_eq!((end.threads, end.descriptors), (warm.threads, warm.descriptors), "threads, descriptors");
    assert!(end.resident_mib <= warm.resident_mib + warm.resident_mib / 10 + 8, "{warm:?}, then {end:?}");
}
