//! A look at trees of all kinds of supervisors: `supervisor::tree`.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod dynamic;
mod supervisors;

use std::time::Duration;

use common::on_every_driver;
use dynamic::{Keeper, sleeper};
use ibeam::prelude::*;
use ibeam::supervisor::{self, Below, Kind, TreeNode};
use supervisors::{HOUR, Log, Switch, crash_child, info, one_for_one, start, switched, worker};

/// The tree in lines, with `_` for each pid.
fn lines(tree: &TreeNode) -> Vec<String> {
    let hide = |line: &str| {
        let (before, rest) = line.split_once('<')?;
        Some(format!("{before}_{}", rest.split_once('>')?.1))
    };
    tree.to_string().lines().map(|line| hide(line).unwrap_or_else(|| line.to_owned())).collect()
}

fn below(node: &TreeNode) -> &Below {
    node.below.as_ref().expect("a supervisor that runs").as_ref().expect("an answer")
}

/// A child is being started, and will be for ever.
struct Stuck;

/// Rooms behind a partition supervisor of dynamic supervisors, beside workers: four levels.
async fn app() -> SupervisorRef {
    let inner = one_for_one().child(worker("a")).child(worker("b"));
    let rooms = PartitionSupervisor::new("rooms", DynamicSupervisor::spec()).partitions(2);
    let clock = Keeper::child(0).id("clock").name("clock-1");
    let app = start(
        one_for_one()
            .name("app")
            .child(inner.into_child("inner"))
            .child(rooms)
            .child(worker("last"))
            .child(clock),
    )
    .await;
    let rooms = PartitionSupervisorRef::<DynamicSupervisor>::named("rooms");
    for _ in 0..3 {
        rooms.key(1).start_child(sleeper()).await.unwrap();
    }
    let room = ChildSpec::server("", || Keeper::start_link(1).name("lobby"));
    rooms.key(0).start_child(room).await.unwrap();
    app
}

#[test]
fn all_kinds_of_supervisors_in_start_order() {
    on_every_driver(|| async {
        let app = app().await;
        let tree = supervisor::tree(&app).await.unwrap();
        assert_eq!(
            lines(&tree),
            [
                "app _ supervisor, 4 children",
                "├─ inner _ supervisor, 2 children",
                "│  ├─ a _ worker",
                "│  └─ b _ worker",
                "├─ rooms _ supervisor, 2 children",
                "│  ├─ 0 _ supervisor, 1 child",
                "│  │  └─ lobby _ worker",
                "│  └─ 1 _ supervisor, 3 children",
                "│     ├─ _ worker",
                "│     ├─ _ worker",
                "│     └─ _ worker",
                "├─ last _ worker",
                "└─ clock (clock-1) _ worker",
            ]
        );
        // What is in the lines is what the supervisors say themselves.
        assert_eq!((tree.pid, tree.kind), (app.pid(), Kind::Supervisor));
        for node in &below(&tree).children {
            let child = info(&app, node.id.as_ref().unwrap().as_str()).await;
            assert_eq!((node.pid, node.kind, node.module), (child.pid, child.kind, child.module));
        }
        assert_eq!(below(&tree).counts, app.count_children().await.unwrap());
        // From any of them, by handle, name and pid.
        let rooms = PartitionSupervisorRef::<DynamicSupervisor>::named("rooms");
        let part = supervisor::tree(&rooms).await.unwrap();
        assert_eq!(below(&part), below(&below(&tree).children[1]));
        assert_eq!(supervisor::tree("rooms").await.unwrap(), part);
        let one = rooms.key(1);
        assert_eq!(
            supervisor::tree(&one).await.unwrap(),
            supervisor::tree(one.pid().unwrap()).await.unwrap()
        );
    });
}

#[test]
fn what_is_not_listed_is_counted() {
    on_every_driver(|| async {
        let app = app().await;
        let tree = supervisor::tree(&app).children_max(2).await.unwrap();
        assert_eq!(
            lines(&tree),
            [
                "app _ supervisor, 4 children",
                "├─ inner _ supervisor, 2 children",
                "│  ├─ a _ worker",
                "│  └─ b _ worker",
                "├─ rooms _ supervisor, 2 children",
                "│  ├─ 0 _ supervisor, 1 child",
                "│  │  └─ lobby _ worker",
                "│  └─ 1 _ supervisor, 3 children",
                "│     ├─ _ worker",
                "│     ├─ _ worker",
                "│     └─ … 1 more",
                "└─ … 2 more",
            ]
        );
        let rooms = below(&below(&tree).children[1]);
        assert_eq!(below(&rooms.children[1]).unlisted(), 1);
        assert_eq!(
            lines(&supervisor::tree(&app).children_max(0).await.unwrap()),
            ["app _ supervisor, 4 children", "└─ … 4 more"]
        );
    });
}

#[test]
fn ten_thousand_children_are_a_hundred_lines() {
    on_every_driver(|| async {
        let rooms = DynamicSupervisor::new("rooms").start_link().await.unwrap();
        for _ in 0..10_000 {
            rooms.start_child(sleeper()).await.unwrap();
        }
        let tree = supervisor::tree(&rooms).await.unwrap();
        assert_eq!((below(&tree).counts.active, below(&tree).unlisted()), (10_000, 9_900));
        assert_eq!(lines(&tree).len(), 1 + 100 + 1);
    });
}

#[test]
fn children_without_a_process_are_shown() {
    on_every_driver(|| async {
        let (switch, log) = (Switch::on(), Log::default());
        let backoff = supervisor::Backoff::new(HOUR, HOUR);
        let waits = switched("waits", &switch, &log).backoff(backoff);
        let app = start(one_for_one().child(waits).child(worker("ended")).child(worker("runs"))).await;
        app.terminate_child("ended").await.unwrap();
        switch.set(false);
        crash_child(&app, "waits").await;
        let tree = supervisor::tree(&app).await.unwrap();
        assert_eq!(
            lines(&tree),
            [
                "_ supervisor, 3 children, 1 of them running",
                "├─ waits restarting worker",
                "├─ ended stopped worker",
                "└─ runs _ worker",
            ]
        );
        assert!(below(&tree).children[0].restarting && !below(&tree).children[1].restarting);
    });
}

#[test]
fn one_that_does_not_answer_holds_up_nobody_else() {
    on_every_driver(|| async {
        // It waits for the start of a child, which never ends.
        let busy = one_for_one().name("busy");
        // It says that it is a supervisor.
        let liar = Keeper::child(0).id("liar").kind(Kind::Supervisor);
        let other = one_for_one().child(worker("a")).into_child("other");
        let app = start(one_for_one().child(busy.into_child("busy")).child(liar).child(other)).await;
        let me = process::self_pid();
        process::spawn(async move {
            let stuck = ChildSpec::new("stuck", move || {
                me.send(Stuck);
                std::future::pending()
            });
            let _never = SupervisorRef::named("busy").start_child(stuck).await;
        });
        receive! { Stuck => {} }
        let busy = process::whereis("busy").unwrap();
        let tree = supervisor::tree(&app).timeout(Duration::from_millis(20)).await.unwrap();
        let children = &below(&tree).children;
        assert!(
            matches!(children[0].below, Some(Err(CallError::Timeout { pid, .. })) if pid == busy),
            "{tree}"
        );
        assert!(matches!(children[1].below, Some(Err(CallError::NoReply { .. }))), "{tree}");
        assert_eq!(below(&children[2]).counts.active, 1);
        let lines = lines(&tree);
        assert!(lines[1].starts_with("├─ busy _ supervisor, its children are not known: "), "{tree}");
        assert_eq!(lines[3..], ["└─ other _ supervisor, 1 child", "   └─ a _ worker"]);
        process::kill(busy);
    });
}

#[test]
fn a_root_that_is_not_there_is_an_error() {
    on_every_driver(|| async {
        assert!(matches!(supervisor::tree("nobody").await, Err(CallError::NoProc { .. })));
        let gone = process::spawn(async {});
        assert!(matches!(
            supervisor::tree(gone).await,
            Err(CallError::NoProc { .. } | CallError::Exited { .. })
        ));
        let me = process::self_pid();
        assert_eq!(supervisor::tree(me).await, Err(CallError::CallsItself { pid: me }));
    });
}
