//! Supervisors of all kinds.

use std::time::Duration;

use ibeam::prelude::*;
use ibeam::supervisor;

use super::{A_SECOND, AT_ONCE, Case, Server, Try};

fn worker(id: &str) -> ChildSpec {
    ChildSpec::new(id, || async { Ok(process::spawn_link(std::future::pending::<()>())) })
}

async fn tree() -> SupervisorRef {
    let supervisor = Supervisor::new(Strategy::OneForOne).child(worker("a")).child(worker("b"));
    supervisor.start().await.expect("it starts")
}

async fn rooms() -> DynamicSupervisorRef {
    DynamicSupervisor::spec().start().await.expect("it starts")
}

async fn parts() -> PartitionSupervisorRef<supervisor::ServerChild<Server>> {
    PartitionSupervisor::new("parts", Server::child(AT_ONCE)).partitions(2).start().await.expect("it starts")
}

cases! {
    "a supervisor's start": |with: Try| async move {
        let slow = Server::child(A_SECOND).id("slow");
        with.this(Supervisor::new(Strategy::OneForOne).name("tree").child(worker("a")).child(slow).start_link()).await
    };
    "start_child": |with: Try| async move { with.this(tree().await.start_child(Server::child(A_SECOND))).await };
    "terminate_child": |with: Try| async move { with.this(tree().await.terminate_child("a")).await };
    "restart_child": |with: Try| async move {
        let tree = tree().await;
        tree.terminate_child("a").await.expect("it is there");
        with.this(tree.restart_child("a")).await
    };
    "delete_child": |with: Try| async move {
        let tree = tree().await;
        tree.terminate_child("a").await.expect("it is there");
        with.this(tree.delete_child("a")).await
    };
    "which_children": |with: Try| async move { with.this(tree().await.which_children()).await };
    "which_child": |with: Try| async move { with.this(tree().await.which_child("a")).await };
    "count_children": |with: Try| async move { with.this(tree().await.count_children()).await };
    "child_spec": |with: Try| async move { with.this(tree().await.child_spec("a")).await };
    "a supervisor's stop": |with: Try| async move {
        with.this(tree().await.stop(ExitReason::Normal, Timeout::Infinity)).await
    };
    "a look at a tree": |with: Try| async move { with.this(supervisor::tree(&tree().await)).await };
    "a dynamic supervisor's start": |with: Try| async move { with.this(DynamicSupervisor::new("rooms").start_link()).await };
    "a dynamic supervisor's start_child": |with: Try| async move {
        with.this(rooms().await.start_child(Server::child(A_SECOND))).await
    };
    "a template's start_child": |with: Try| async move {
        let rooms = DynamicSupervisor::spec().template(|wait: Duration| Server::child(wait)).start().await.expect("it starts");
        with.this(rooms.start_child(A_SECOND)).await
    };
    "a dynamic supervisor's which_child": |with: Try| async move {
        let rooms = rooms().await;
        let child = rooms.start_child(Server::child(AT_ONCE)).await.expect("it starts");
        with.this(rooms.which_child(child.pid().unwrap())).await
    };
    "a dynamic supervisor's terminate_child": |with: Try| async move {
        let rooms = rooms().await;
        let child = rooms.start_child(Server::child(AT_ONCE)).await.expect("it starts");
        with.this(rooms.terminate_child(child.pid().unwrap())).await
    };
    "a dynamic supervisor's which_children": |with: Try| async move { with.this(rooms().await.which_children()).await };
    "a dynamic supervisor's count_children": |with: Try| async move { with.this(rooms().await.count_children()).await };
    "a dynamic supervisor's stop": |with: Try| async move {
        let rooms = rooms().await;
        rooms.start_child(Server::child(AT_ONCE)).await.expect("it starts");
        with.this(rooms.stop(ExitReason::Normal, Timeout::Infinity)).await
    };
    "a partition supervisor's start": |with: Try| async move {
        with.this(PartitionSupervisor::new("parts", Server::child(A_SECOND)).partitions(2).start_link()).await
    };
    "resize": |with: Try| async move { with.this(parts().await.resize(1)).await };
    "a partition supervisor's which_children": |with: Try| async move { with.this(parts().await.which_children()).await };
    "a partition supervisor's count_children": |with: Try| async move { with.this(parts().await.count_children()).await };
    "a partition supervisor's stop": |with: Try| async move {
        with.this(parts().await.stop(ExitReason::Normal, Timeout::Infinity)).await
    };
}
