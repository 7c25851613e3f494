//! Random lives of a bus: who is subscribed gets each broadcast, as often as it is subscribed and in the order of its sender; nobody
//! else gets it.
//!
//! In the first test one thing happens after the other, so a model knows exactly who gets what, also of those that die. In the second
//! one processes subscribe and unsubscribe while others broadcast; a clock that counts says which broadcasts fell into a
//! subscription as a whole, and which did not touch it at all.
//!
//! `IBEAM_SEED=n` runs one seed, `IBEAM_SEEDS=n` sets how many.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
#[path = "../../ibeam-runtime/tests/common_time/mod.rs"]
mod common_time;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use common::{Driver, down, first, on_each_driver};
use common_time::Random;
use ibeam::prelude::*;

const TOPICS: usize = 3;
const STEPS: usize = 300;

/// The `number`th broadcast of a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct News {
    sender: usize,
    number: u64,
}

/// What a subscriber has received, in order.
type Log = Arc<Mutex<Vec<News>>>;

enum Do {
    Subscribe(usize),
    Unsubscribe(usize),
    /// Say so when all that came before has been written down.
    Nothing,
    Broadcast(usize, News, Option<Pid>),
}

struct Done;

/// Does what it is told, and writes down what it hears.
fn spawn(bus: &PubSub<usize>, log: &Log) -> Pid {
    let (bus, log, test) = (bus.clone(), Arc::clone(log), process::self_pid());
    process::spawn(async move {
        loop {
            receive! {
                news: News => log.lock().unwrap().push(news),
                what: Do => {
                    match what {
                        Do::Subscribe(topic) => bus.subscribe(topic).unwrap(),
                        Do::Unsubscribe(topic) => bus.unsubscribe(topic),
                        Do::Broadcast(topic, news, None) => bus.broadcast(topic, news).unwrap(),
                        Do::Broadcast(topic, news, Some(from)) => bus.broadcast_from(from, topic, news).unwrap(),
                        Do::Nothing => {}
                    }
                    test.send(Done);
                }
            }
        }
    })
}

async fn told(pid: Pid, what: Do) {
    pid.send(what);
    first::<Done>().await;
}

/// A subscriber as the model knows it.
struct Subscriber {
    pid: Pid,
    log: Log,
    /// How often it is subscribed to each topic.
    topics: [usize; TOPICS],
    expected: Vec<News>,
}

impl Subscriber {
    fn new(bus: &PubSub<usize>) -> Self {
        let log = Log::default();
        Self { pid: spawn(bus, &log), log, topics: [0; TOPICS], expected: Vec::new() }
    }

    /// What it has received is what it had to receive, at least as far as it has come.
    fn check(&self, alive: bool) {
        let (log, senders) = (self.log.lock().unwrap(), 0..3);
        for sender in senders {
            let of = |list: &[News]| list.iter().copied().filter(|n| n.sender == sender).collect::<Vec<_>>();
            let (received, expected) = (of(&log), of(&self.expected));
            if alive {
                assert_eq!(received, expected, "sender {sender} to {}", self.pid);
            } else {
                assert!(expected.starts_with(&received), "sender {sender} to {}: {received:?}", self.pid);
            }
        }
    }
}

fn random(driver: Driver) -> Random {
    Random(if let Driver::Sim { seed } = driver { seed } else { 4711 })
}

#[test]
fn each_broadcast_reaches_exactly_those_who_are_subscribed() {
    on_each_driver(|driver| async move {
        let random = &mut random(driver);
        let bus: PubSub<usize> =
            PubSub::typed("bus").registry_size(1 + random.pick(0..3) as usize).start_link().await.unwrap();
        let senders: Vec<Pid> = (0..3).map(|_| spawn(&bus, &Log::default())).collect();
        let mut subscribers: Vec<Subscriber> = (0..5).map(|_| Subscriber::new(&bus)).collect();
        let mut number = 0;
        for _ in 0..driver.rounds(STEPS, STEPS / 3) {
            let who = random.pick(0..subscribers.len() as u64) as usize;
            let topic = random.pick(0..TOPICS as u64) as usize;
            match random.pick(0..20) {
                0 => {
                    let dead = std::mem::replace(&mut subscribers[who], Subscriber::new(&bus));
                    let monitor = process::monitor(dead.pid);
                    process::kill(dead.pid);
                    down(monitor).await;
                    dead.check(false);
                }
                1..6 => {
                    told(subscribers[who].pid, Do::Subscribe(topic)).await;
                    subscribers[who].topics[topic] += 1;
                }
                6..8 => {
                    told(subscribers[who].pid, Do::Unsubscribe(topic)).await;
                    subscribers[who].topics[topic] = 0;
                }
                _ => {
                    // Each sender a few, all at once.
                    let mut told = 0;
                    for (sender, pid) in senders.iter().enumerate() {
                        for _ in 0..random.pick(0..4) {
                            number += 1;
                            let news = News { sender, number };
                            let topic = random.pick(0..TOPICS as u64) as usize;
                            let from = (random.pick(0..4) == 0).then(|| subscribers[who].pid);
                            pid.send(Do::Broadcast(topic, news, from));
                            told += 1;
                            for one in &mut subscribers {
                                let times = if from == Some(one.pid) { 0 } else { one.topics[topic] };
                                one.expected.extend(std::iter::repeat_n(news, times));
                            }
                        }
                    }
                    for _ in 0..told {
                        first::<Done>().await;
                    }
                }
            }
            for topic in 0..TOPICS {
                let mut found = BTreeMap::<Pid, usize>::new();
                bus.subscribers(topic).into_iter().for_each(|(pid, ())| *found.entry(pid).or_default() += 1);
                let model = subscribers
                    .iter()
                    .map(|one| (one.pid, one.topics[topic]))
                    .filter(|(_, times)| *times > 0);
                assert_eq!(found, model.collect::<BTreeMap<_, _>>(), "topic {topic}");
            }
        }
        for one in &subscribers {
            told(one.pid, Do::Nothing).await;
            one.check(true);
        }
        assert!(number > 0, "there was something to check");
    });
}

/// Counts everything that matters in one order.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn tick(&self) -> u64 {
        self.0.fetch_add(1, SeqCst)
    }
}

/// From when until when something was under way.
type Span = (u64, u64);

/// What one process did and got.
#[derive(Default)]
struct Life {
    /// Its subscriptions: from the moment before it asked for one to that after it has ended, and the time between in which it
    /// certainly was subscribed.
    subscriptions: Vec<(Span, Span)>,
    received: Vec<News>,
}

impl Life {
    fn check(&self, sent: &BTreeMap<News, Span>) -> usize {
        let mut surely = 0;
        for (news, &(begun, over)) in sent {
            let touches = |&&(at_most, _): &&(Span, Span)| begun < at_most.1 && at_most.0 < over;
            let covers = |&(_, (from, until)): &(Span, Span)| from < begun && over < until;
            let most = self.subscriptions.iter().filter(touches).count();
            let least = usize::from(self.subscriptions.iter().any(covers));
            let times = self.received.iter().filter(|received| *received == news).count();
            assert!((least..=most).contains(&times), "{news:?} came {times} times, not {least} to {most}");
            surely += least;
        }
        for sender in 0..SENDERS {
            let numbers = self.received.iter().filter(|news| news.sender == sender).map(|news| news.number);
            assert!(numbers.is_sorted(), "sender {sender}: out of order");
        }
        surely
    }
}

const SENDERS: usize = 2;
struct Stop;

async fn subscribe_again_and_again(bus: PubSub<usize>, clock: Clock, mut random: Random) -> Life {
    let mut life = Life::default();
    let mut stop = false;
    while !stop {
        let before = clock.tick();
        bus.subscribe(0_usize).unwrap();
        let from = clock.tick();
        for _ in 0..random.pick(0..8) {
            process::yield_now().await;
        }
        let until = clock.tick();
        bus.unsubscribe(0_usize);
        life.subscriptions.push(((before, clock.tick()), (from, until)));
        process::yield_now().await;
        while let Some(message) = process::try_recv() {
            match message.downcast::<News>() {
                Ok(news) => life.received.push(news),
                // Sent when all senders were done: nothing comes any more.
                Err(other) => stop = other.is::<Stop>(),
            }
        }
    }
    life
}

#[test]
fn a_broadcast_beside_changes_of_subscriptions_reaches_those_who_are_there_all_the_time() {
    on_each_driver(|driver| async move {
        let seed = &mut random(driver);
        let bus: PubSub<usize> =
            PubSub::typed("bus").registry_size(1 + seed.pick(0..2) as usize).start_link().await.unwrap();
        let clock = Clock::default();
        let test = process::self_pid();
        let subscribers: Vec<Pid> = (0..3)
            .map(|_| {
                let life =
                    subscribe_again_and_again(bus.clone(), clock.clone(), Random(seed.pick(0..1 << 32)));
                process::spawn_link(async move { test.send(life.await) })
            })
            .collect();
        let rounds = driver.rounds(2_000, 100) as u64;
        let sent: Arc<Mutex<BTreeMap<News, Span>>> = Arc::default();
        let senders: Vec<Reference> = (0..SENDERS)
            .map(|sender| {
                let (bus, clock, sent) = (bus.clone(), clock.clone(), Arc::clone(&sent));
                let mut random = Random(seed.pick(0..1 << 32));
                let body = async move {
                    for number in 0..rounds {
                        let (news, begun) = (News { sender, number }, clock.tick());
                        bus.broadcast(0_usize, news).unwrap();
                        sent.lock().unwrap().insert(news, (begun, clock.tick()));
                        for _ in 0..random.pick(0..3) {
                            process::yield_now().await;
                        }
                    }
                };
                process::spawn_monitor(body).1
            })
            .collect();
        for sender in senders {
            assert_eq!(down(sender).await.reason, ExitReason::Normal);
        }
        subscribers.iter().for_each(|pid| pid.send(Stop));
        let mut surely = 0;
        for _ in &subscribers {
            surely += first::<Life>().await.check(&sent.lock().unwrap());
        }
        assert!(surely > 0, "some broadcasts met a subscription from its beginning to its end");
    });
}
