//! Processes and their servers: receiving, sending, calling, starting, stopping.

use std::time::Duration;

use ibeam::gen_server::{RequestIds, send_request};
use ibeam::{Overflow, prelude::*, proc_lib};

use super::{A_SECOND, AT_ONCE, Case, Server, ServerClient as _, Try, server};

/// A process with room for one message, which it never takes.
async fn full() -> Pid {
    let full = process::builder().mailbox(1, Overflow::Wait).spawn(std::future::pending::<()>());
    full.send("fills it");
    full
}

/// Its start does not succeed.
fn fails(starter: proc_lib::Starter<u32>) {
    starter.init_fail(ExitReason::other("no"), ExitReason::Normal)
}

cases! {
    "recv": |with: Try| async move { with.this(process::recv()).await };
    "a selective receive": |with: Try| async move { with.this(ibeam::process::receive_with(|message| message.arm(|n: u64| Ok::<_, u64>(n)))).await };
    "a receive with a limit": |with: Try| async move { with.this(ibeam::process::receive_with(|message| message.arm(|n: u64| Ok::<_, u64>(n))).after(A_SECOND)).await };
    "sleep": |with: Try| async move { with.this(process::sleep(A_SECOND)).await };
    "yield_now": |with: Try| async move { with.this(process::yield_now()).await };
    "hibernate": |with: Try| async move { with.this(process::hibernate()).await };
    "info": |with: Try| async move {
        let pid = process::spawn(std::future::pending::<()>());
        with.this(process::info(pid)).await
    };
    "send_wait": |with: Try| async move {
        let full = full().await;
        with.this(full.send_wait(2_u64)).await
    };
    "a call": |with: Try| async move { with.this(server().await.now()).await };
    "a call without a limit": |with: Try| async move { with.this(server().await.now().timeout(Timeout::Infinity)).await };
    "a call with a late reply": |with: Try| async move { with.this(server().await.late()).await };
    "a call that times out": |with: Try| async move { with.this(server().await.never().timeout(A_SECOND)).await };
    "a call of a full mailbox": |with: Try| async move {
        let full = ServerRef::<Server>::of(full().await);
        with.this(full.now().timeout(A_SECOND)).await
    };
    "a call of one that dies": |with: Try| async move {
        let server = server().await;
        process::kill_after(server.pid().unwrap(), Duration::from_millis(10));
        with.this(server.never()).await
    };
    "a call that waits for a name": |with: Try| async move {
        let named = ServerRef::<Server>::named("later");
        process::spawn(async {
            process::sleep(Duration::from_millis(10)).await;
            Server::start(AT_ONCE).name("later").await.expect("it starts");
        });
        with.this(named.now().wait_for_name()).await
    };
    "a call that waits for a name in vain": |with: Try| async move {
        with.this(ServerRef::<Server>::named("nobody").now().wait_for_name().timeout(A_SECOND)).await
    };
    "a response": |with: Try| async move {
        let request = send_request(server().await.late());
        with.this(request.receive_response(Timeout::Infinity)).await
    };
    "a response that does not come": |with: Try| async move {
        let request = send_request(server().await.never());
        with.this(request.receive_response(A_SECOND)).await
    };
    "a wait for a response": |with: Try| async move {
        let mut request = send_request(server().await.late());
        with.this(request.wait_response(A_SECOND * 2)).await
    };
    "the next response of many": |with: Try| async move {
        let server = server().await;
        let mut requests = RequestIds::<u64, u64>::new();
        requests.add(send_request(server.late()), 1);
        requests.add(send_request(server.now()), 2);
        with.this(requests.receive_response(Timeout::Infinity)).await
    };
    "start": |with: Try| async move { with.this(Server::start(A_SECOND)).await };
    "start_link": |with: Try| async move { with.this(Server::start_link(A_SECOND)).await };
    "start with a name": |with: Try| async move { with.this(Server::start(A_SECOND).name("server")).await };
    "start with a monitor": |with: Try| async move {
        let start = async {
            let (_server, monitor) = Server::start(A_SECOND).monitored().await.expect("it starts");
            process::demonitor_flush(monitor);
        };
        with.this(start).await
    };
    "start of one that takes too long": |with: Try| async move { with.this(Server::start(A_SECOND * 3).timeout(A_SECOND)).await };
    "start of a name that is taken": |with: Try| async move {
        let _taken = Server::start(AT_ONCE).name("server").await.expect("it starts");
        with.this(Server::start(AT_ONCE).name("server")).await
    };
    "stop": |with: Try| async move { with.this(server().await.stop(ExitReason::Normal, Timeout::Infinity)).await };
    "stop of one that takes too long": |with: Try| async move {
        with.this(server().await.stop(ExitReason::Normal, Duration::from_millis(1))).await
    };
    "enter_loop": |with: Try| async move { with.this(Server.enter_loop()).await };
    "proc_lib's start": |with: Try| async move {
        let start = proc_lib::start(|starter| async move {
            process::sleep(A_SECOND).await;
            starter.init_ack(1_u32);
            std::future::pending::<()>().await
        });
        with.this(start).await
    };
    "proc_lib's start with a monitor": |with: Try| async move {
        let start = async {
            let body = |starter: proc_lib::Starter<u32>| async move {
                process::sleep(A_SECOND).await;
                starter.init_ack(1);
                std::future::pending::<()>().await
            };
            let (_pid, _value, monitor) = proc_lib::start(body).monitored().await.expect("it starts");
            process::demonitor_flush(monitor);
        };
        with.this(start).await
    };
    "proc_lib's start of one that fails": |with: Try| async move {
        let start = proc_lib::start_link(|starter: proc_lib::Starter<u32>| async move {
            process::sleep(A_SECOND).await;
            fails(starter)
        });
        with.this(start).await
    };
    "proc_lib's stop": |with: Try| async move {
        let server = server().await.pid().unwrap();
        with.this(proc_lib::stop(server, ExitReason::Normal, Timeout::Infinity)).await
    };
}
