//! PubSub. Names begin with the row of the conformance list that the test is for.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{down, end_of, first, next, nothing_comes, on_each_driver, on_every_driver};
use ibeam::prelude::*;
use ibeam::pubsub::{
    Adapter, AdapterOptions, Deliver, Dispatcher, Local, NodeName, Outgoing, PoolSizeError, PubSubBuilder,
};
use ibeam::{BroadcastError, SubscribeError};

const WINDOW: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, PartialEq)]
struct Ping;

/// A bus with so many adapter processes and partitions.
async fn bus(pool_size: usize) -> PubSub {
    PubSub::new("bus").pool_size(pool_size).adapter(Pool::default()).start_link().await.unwrap()
}

/// The row holds with 1 and with 8 adapter processes.
fn with_1_and_8<F, B>(body: F)
where
    F: Fn(PubSub) -> B + Clone + Send + 'static,
    B: Future<Output = ()> + Send,
{
    for pool_size in [1, 8] {
        let body = body.clone();
        on_every_driver(move || {
            let body = body.clone();
            async move {
                let bus = bus(pool_size).await;
                let rows = body(bus);
                drop(body);
                rows.await;
            }
        });
    }
}

/// What a process of the test is told to do.
enum Do {
    Subscribe(&'static str),
    Unsubscribe(&'static str),
}

/// A process that does what it is told and says so, and gives on each ping.
fn listener(bus: &PubSub) -> Pid {
    let (bus, test) = (bus.clone(), process::self_pid());
    process::spawn(async move {
        loop {
            receive! {
                Do::Subscribe(topic) => { bus.subscribe(topic).unwrap(); test.send(Done) }
                Do::Unsubscribe(topic) => { bus.unsubscribe(topic); test.send(Done) }
                Ping => test.send(Heard(process::self_pid())),
            }
        }
    })
}

struct Done;

#[derive(Debug, PartialEq)]
struct Heard(Pid);

async fn told(pid: Pid, what: Do) {
    pid.send(what);
    first::<Done>().await;
}

#[test]
fn pub_001_the_node_name_is_a_name() {
    on_every_driver(|| async {
        let bus = bus(1).await;
        assert_eq!(bus.node_name().unwrap(), NodeName::from("nonode@nohost"));
    });
}

#[test]
fn pub_002_subscribe_and_unsubscribe() {
    with_1_and_8(|bus| async move {
        let listener = listener(&bus);
        assert_eq!(bus.subscribers("topic"), []);
        told(listener, Do::Subscribe("topic")).await;
        assert_eq!(bus.subscribers("topic"), [(listener, ())]);
        told(listener, Do::Unsubscribe("topic")).await;
        assert_eq!(bus.subscribers("topic"), []);
    });
}

#[test]
fn pub_003_each_subscriber_gets_what_is_broadcast() {
    with_1_and_8(|bus| async move {
        bus.subscribe("topic").unwrap();
        assert_eq!(bus.broadcast("topic", Ping), Ok(()));
        assert_eq!(next::<Ping>().await, Ping);
        bus.broadcast("topic", Ping).unwrap();
        assert_eq!(next::<Ping>().await, Ping);
        assert!(process::try_recv().is_none());
    });
}

#[test]
fn pub_004_subscribers_of_other_topics_get_nothing() {
    with_1_and_8(|bus| async move {
        bus.subscribe("unknown").unwrap();
        let listeners: Vec<Pid> = (0..11).map(|_| listener(&bus)).collect();
        for &listener in &listeners {
            told(listener, Do::Subscribe("topic")).await;
        }
        bus.broadcast("topic", Ping).unwrap();
        for &listener in &listeners {
            receive! { Heard(pid) if pid == listener => {} }
        }
        assert!(process::try_recv().is_none());
    });
}

#[test]
fn pub_005_a_direct_broadcast_goes_to_the_node_that_it_names() {
    on_every_driver(|| async {
        let bus = bus(1).await;
        bus.subscribe("topic").unwrap();
        let here = bus.node_name().unwrap();
        assert_eq!(bus.direct_broadcast(&here, "topic", Ping), Ok(()));
        assert_eq!(next::<Ping>().await, Ping);
        bus.direct_broadcast(&here, "topic", Ping).unwrap();
        assert_eq!(next::<Ping>().await, Ping);

        let local = PubSub::new("local").start_link().await.unwrap();
        let elsewhere = NodeName::from("other@host");
        let failed = local.direct_broadcast(&elsewhere, "topic", Ping);
        assert_eq!(failed, Err(BroadcastError::NoNode { node: elsewhere }));
        assert!(process::try_recv().is_none());
    });
}

#[test]
fn pub_006_a_local_broadcast_stays_here() {
    on_every_driver(|| async {
        let adapter = Pool::default();
        let bus = PubSub::new("bus").adapter(adapter.clone()).start_link().await.unwrap();
        bus.subscribe("topic").unwrap();
        assert_eq!(bus.local_broadcast("topic", Ping), Ok(()));
        assert_eq!(next::<Ping>().await, Ping);
        assert_eq!(adapter.sent(), [] as [String; 0]);
    });
}

#[test]
fn pub_007_a_local_broadcast_from_a_process_leaves_it_out() {
    on_each_driver(|driver| async move {
        let bus = bus(1).await;
        let other = listener(&bus);
        told(other, Do::Subscribe("topic")).await;
        bus.subscribe("topic").unwrap();
        bus.local_broadcast_from(process::self_pid(), "topic", Ping).unwrap();
        assert_eq!(next::<Heard>().await, Heard(other));
        bus.broadcast_from(process::self_pid(), "topic", Ping).unwrap();
        assert_eq!(next::<Heard>().await, Heard(other));
        nothing_comes(driver.window(WINDOW)).await;
    });
}

async fn children(supervisor: &str) -> usize {
    SupervisorRef::named(supervisor).which_children().await.unwrap().len()
}

#[test]
fn pub_008_there_can_be_more_adapter_processes_than_partitions() {
    on_every_driver(|| async {
        let bus = PubSub::new("bus").pool_size(4).registry_size(2).adapter(Pool::default());
        let _bus = bus.start_link().await.unwrap();
        // One of the children is the registry.
        assert_eq!(children("bus.supervisor").await - 1, 4);
        assert_eq!(children("bus").await, 2);
    });
}

#[test]
fn pub_009_there_are_as_many_partitions_as_adapter_processes_if_nothing_is_said() {
    on_every_driver(|| async {
        let _bus = bus(3).await;
        assert_eq!(children("bus.supervisor").await - 1, 3);
        assert_eq!(children("bus").await, 3);
    });
}

#[test]
fn pub_011_broadcasts_are_not_spread_over_more_processes_than_there_are() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let bus = || PubSub::new("bus").pool_size(1).broadcast_pool_size(2);
        let Err(StartError::Init { reason }) = bus().start_link().await else { panic!("it started") };
        let expected =
            "adapter Local of `bus`: expected a pool size of at least the broadcast pool size, 2, got 1";
        let error = reason.downcast_ref::<PoolSizeError>().expect("an error about the pool");
        assert_eq!(error.to_string(), expected);
        // Under a supervisor too, and nothing is left of it.
        let top = Supervisor::new(Strategy::OneForOne).child(bus()).start_link().await;
        let error = top.unwrap_err().to_string();
        assert!(error.contains("PoolSizeError") && error.contains("adapter: \"Local\""), "{error}");
        assert_eq!(process::whereis("bus"), None);
    });
}

/// An adapter with processes, which writes down what leaves the node.
#[derive(Clone, Debug, Default)]
struct Pool {
    sent: Arc<Mutex<Vec<String>>>,
    fails: bool,
}

impl Pool {
    fn sent(&self) -> Vec<String> {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }

    fn note(&self, to: &str, outgoing: &Outgoing<'_>) {
        let topic = outgoing.topic.downcast_ref::<String>().unwrap();
        assert_eq!(outgoing.message.is::<Ping>(), outgoing.message_type.ends_with("Ping"));
        let by = if outgoing.dispatcher.is::<Deliver>() { "" } else { ", dispatched" };
        self.sent.lock().unwrap().push(format!("{}: {topic} to {to}{by}", outgoing.pubsub));
    }
}

impl Adapter for Pool {
    fn node_name(&self) -> NodeName {
        Local.node_name()
    }

    fn children(&self, options: &AdapterOptions) -> Vec<ChildSpec> {
        let child = |number| {
            ChildSpec::new(format!("{number}"), || async { Ok(process::spawn_link(common::idle())) })
        };
        assert_eq!(options.pubsub.as_str(), "bus");
        assert_eq!(options.broadcast_pool_size, options.pool_size);
        (0..options.pool_size).map(child).collect()
    }

    fn broadcast(&self, outgoing: &Outgoing<'_>) -> Result<(), BroadcastError> {
        if self.fails {
            return Err(BroadcastError::Adapter { reason: ExitReason::other("no net") });
        }
        self.note("all", outgoing);
        Ok(())
    }

    fn direct_broadcast(&self, node: &NodeName, outgoing: &Outgoing<'_>) -> Result<(), BroadcastError> {
        self.note(node.as_str(), outgoing);
        Ok(())
    }
}

#[test]
fn an_adapter_is_given_what_leaves_the_node() {
    on_every_driver(|| async {
        let adapter = Pool::default();
        let bus = PubSub::new("bus").adapter(adapter.clone()).start_link().await.unwrap();
        bus.subscribe("topic").unwrap();
        bus.broadcast("topic", Ping).unwrap();
        bus.broadcast_from(process::self_pid(), "topic", Ping).unwrap();
        bus.direct_broadcast(&"two@host".into(), "topic", Ping).unwrap();
        bus.direct_broadcast(&bus.node_name().unwrap(), "topic", Ping).unwrap();
        bus.through(Tell).broadcast("topic", Ping).unwrap();
        let sent = [
            "bus: topic to all",
            "bus: topic to all",
            "bus: topic to two@host",
            "bus: topic to all, dispatched",
        ];
        assert_eq!(adapter.sent(), sent);
        // Of ours: the first, the direct one to here, the dispatched one.
        assert_eq!((next::<Ping>().await, next::<Ping>().await), (Ping, Ping));
        assert_eq!(next::<String>().await, "() without None");
        assert!(process::try_recv().is_none());
    });
}

#[test]
fn a_broadcast_that_the_adapter_refuses_reaches_nobody() {
    on_every_driver(|| async {
        let bus =
            PubSub::new("bus").adapter(Pool { fails: true, ..Pool::default() }).start_link().await.unwrap();
        bus.subscribe("topic").unwrap();
        let error = bus.broadcast("topic", Ping).unwrap_err();
        assert_eq!(error.to_string(), "the adapter did not broadcast it to other nodes: \"no net\"");
        assert!(process::try_recv().is_none());
    });
}

/// Tells subscribers what a dispatcher is given.
struct Tell;

impl<V: std::fmt::Debug> Dispatcher<Ping, V> for Tell {
    fn dispatch(&self, subscriber: Pid, metadata: &V, from: Option<Pid>, _: &Ping) {
        subscriber.send(format!("{metadata:?} without {:?}", from.map(|from| from == process::self_pid())));
    }
}

#[test]
fn a_dispatcher_sees_each_subscription_with_its_metadata() {
    on_every_driver(|| async {
        let bus: PubSub<u32, &str> = PubSub::typed("bus").start_link().await.unwrap();
        bus.subscribe_with(1_u32, "first").unwrap();
        bus.subscribe_with(1_u32, "second").unwrap();
        bus.subscribe(2_u32).unwrap();
        let me = process::self_pid();
        assert_eq!(bus.subscribers(1_u32), [(me, "first"), (me, "second")]);
        bus.through(Tell).broadcast(1_u32, Ping).unwrap();
        bus.through(Tell).local_broadcast(2_u32, Ping).unwrap();
        bus.through(Tell).broadcast_from(me, 2_u32, Ping).unwrap();
        bus.through(Tell).local_broadcast_from(me, 2_u32, Ping).unwrap();
        bus.through(Tell).direct_broadcast(&bus.node_name().unwrap(), 2_u32, Ping).unwrap();
        let heard = [
            "\"first\" without None",
            "\"second\" without None",
            "\"\" without None",
            "\"\" without Some(true)",
            "\"\" without Some(true)",
            "\"\" without None",
        ];
        for expected in heard {
            assert_eq!(next::<String>().await, expected);
        }
        assert!(process::try_recv().is_none());
    });
}

#[test]
fn several_subscriptions_of_a_process_to_a_topic_deliver_several_times() {
    on_every_driver(|| async {
        let bus = bus(2).await;
        for _ in 0..3 {
            bus.subscribe("topic").unwrap();
        }
        bus.subscribe("other").unwrap();
        bus.broadcast("topic", Ping).unwrap();
        for _ in 0..3 {
            assert_eq!(next::<Ping>().await, Ping);
        }
        // One word ends them all, and nothing else.
        bus.unsubscribe("topic");
        bus.unsubscribe("topic");
        bus.broadcast("topic", Ping).unwrap();
        assert!(process::try_recv().is_none());
        bus.broadcast("other", 7_u8).unwrap();
        assert_eq!(next::<u8>().await, 7);
    });
}

#[test]
fn a_subscription_ends_with_its_process() {
    on_every_driver(|| async {
        let bus = bus(2).await;
        let listener = listener(&bus);
        told(listener, Do::Subscribe("topic")).await;
        let monitor = process::monitor(listener);
        process::kill(listener);
        down(monitor).await;
        assert_eq!(bus.subscribers("topic"), []);
        bus.broadcast("topic", Ping).unwrap();
    });
}

/// A server that counts what it hears.
struct Ear {
    heard: Vec<String>,
}

#[derive(Clone)]
struct Said(Arc<str>);

#[gen_server(client = pub(crate) EarClient)]
impl Ear {
    async fn init(topic: &'static str) -> Init<Self> {
        PubSub::named("bus").subscribe(topic).unwrap();
        Init::ok(Ear { heard: Vec::new() })
    }

    #[info]
    async fn said(&mut self, Said(text): Said) {
        self.heard.push(text.to_string());
    }

    #[info]
    async fn shared(&mut self, page: Arc<Vec<u8>>) {
        self.heard.push(format!("{} bytes, shared: {}", page.len(), Arc::strong_count(&page) > 1));
    }

    #[call]
    async fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.heard)
    }
}

#[test]
fn a_server_takes_messages_by_their_types_and_shared_ones_by_arc() {
    on_every_driver(|| async {
        let bus = bus(1).await;
        let ear = Ear::start_link("topic").await.unwrap();
        bus.broadcast("topic", Said("hello".into())).unwrap();
        let page = Arc::new(vec![0_u8; 4096]);
        bus.broadcast("topic", Arc::clone(&page)).unwrap();
        // It was sent before this call, by the same process.
        assert_eq!(ear.heard().await.unwrap(), ["hello", "4096 bytes, shared: true"]);
    });
}

#[test]
fn a_bus_that_does_not_run_says_so_and_a_handle_outlives_a_restart() {
    on_every_driver(|| async {
        let bus = PubSub::named("bus");
        let not_running = BroadcastError::NotRunning { pubsub: "bus".into() };
        assert_eq!(bus.subscribe("topic"), Err(SubscribeError::NotRunning { pubsub: "bus".into() }));
        assert_eq!(bus.broadcast("topic", Ping), Err(not_running.clone()));
        assert_eq!(bus.local_broadcast("topic", Ping), Err(not_running.clone()));
        assert_eq!(bus.node_name(), Err(not_running.clone()));
        assert_eq!(bus.subscribers("topic"), []);
        bus.unsubscribe("topic");
        let text = "unknown pubsub `bus`: expected one that runs and has these types of topics and metadata";
        assert_eq!(not_running.to_string(), text);

        let top = Supervisor::new(Strategy::OneForOne).child(PubSub::new("bus")).start_link().await.unwrap();
        // One with other types of topics is another one, which does not run.
        let other = PubSub::<u32>::typed_named("bus");
        assert_eq!(other.broadcast(1_u32, Ping), Err(not_running));

        process::trap_exit(true);
        bus.subscribe("topic").unwrap();
        let first = process::whereis("bus.supervisor").unwrap();
        process::kill(first);
        end_of(first).await;
        // Who was subscribed is told that it is no more.
        assert!(!next::<Exit>().await.reason.is_normal());
        top.which_children().await.unwrap();
        common::until(|| bus.subscribe("topic").is_ok()).await;
        bus.broadcast("topic", Ping).unwrap();
        assert_eq!(next::<Ping>().await, Ping);
        top.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
    });
}

#[test]
fn a_name_that_is_taken_is_an_error() {
    on_every_driver(|| async {
        process::trap_exit(true);
        let _bus = bus(1).await;
        let again: PubSubBuilder<String, ()> = PubSub::new("bus");
        assert!(matches!(again.start_link().await, Err(StartError::AlreadyStarted { .. })));
    });
}

#[test]
fn a_child_has_its_name_as_its_id() {
    let spec = PubSub::new("bus").child();
    assert_eq!(spec.settings().id, "bus");
    let _any: &dyn Any = &spec;
}

#[test]
fn ordinary_tasks_broadcast_too() {
    on_every_driver(|| async {
        let bus = bus(1).await;
        bus.subscribe("topic").unwrap();
        let task = bus.clone();
        let thread = std::thread::spawn(move || task.broadcast("topic", Ping));
        assert_eq!(thread.join().unwrap(), Ok(()));
        assert_eq!(next::<Ping>().await, Ping);
    });
}

/// The publisher holds its worker until all have got it: the others hear of those it has woken before its turn is over.
#[test]
fn subscribers_run_beside_a_publisher_that_goes_on_computing() {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::SeqCst;
    const LISTENERS: usize = 100;
    static HEARD: AtomicUsize = AtomicUsize::new(0);

    struct Patient;
    impl Dispatcher<Ping, ()> for Patient {
        fn dispatch(&self, subscriber: Pid, (): &(), _: Option<Pid>, ping: &Ping) {
            let before = HEARD.load(SeqCst);
            subscriber.send(ping.clone());
            while HEARD.load(SeqCst) == before {
                std::thread::yield_now();
            }
        }
    }

    common::on_threads(2, || async {
        let bus = bus(1).await;
        for _ in 0..LISTENERS {
            let (bus, test) = (bus.clone(), process::self_pid());
            process::spawn(async move {
                bus.subscribe("topic").unwrap();
                test.send(Done);
                loop {
                    receive! { Ping => HEARD.fetch_add(1, SeqCst) };
                }
            });
        }
        for _ in 0..LISTENERS {
            next::<Done>().await;
        }
        for round in 1..=20 {
            bus.broadcast("topic", Ping).unwrap();
            while HEARD.load(SeqCst) < round * LISTENERS {
                std::thread::yield_now();
            }
        }
        assert_eq!(HEARD.load(SeqCst), 20 * LISTENERS);

        // Also where each of them is waited for before the next is sent something.
        bus.through(Patient).broadcast("topic", Ping).unwrap();
        assert_eq!(HEARD.load(SeqCst), 21 * LISTENERS);
    });
}

/// A dispatcher that panics leaves nothing behind: who was woken before runs, and later sends wake as ever.
#[test]
fn a_panic_of_a_dispatcher_is_one_of_who_broadcasts() {
    struct Picky;
    impl Dispatcher<Ping, ()> for Picky {
        fn dispatch(&self, subscriber: Pid, (): &(), from: Option<Pid>, ping: &Ping) {
            assert_ne!(from, Some(subscriber), "not you");
            subscriber.send(ping.clone());
        }
    }
    on_every_driver(|| async {
        let bus = bus(1).await;
        let (first, second) = (listener(&bus), listener(&bus));
        told(first, Do::Subscribe("topic")).await;
        told(second, Do::Subscribe("topic")).await;
        let publisher = bus.clone();
        let (_, monitor) = process::spawn_monitor(async move {
            let _ = publisher.through(Picky).broadcast_from(second, "topic", Ping);
        });
        assert!(down(monitor).await.reason.to_string().contains("not you"));
        assert_eq!(common::first::<Heard>().await, Heard(first));
        bus.broadcast("topic", Ping).unwrap();
        receive! { Heard(pid) if pid == first => {} }
        receive! { Heard(pid) if pid == second => {} }
    });
}
