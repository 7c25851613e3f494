//! `#[gen_server]` as users write it: each kind of function, what is generated for it, and what may vary.

use std::time::Duration;

use ibeam::prelude::*;

/// Runs `test` as a process.
fn run<F>(test: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Runtime::builder().build().unwrap().block_on(test)
}

pub mod counter {
    //! A server as in the first example of the docs, in a module of its own and with all kinds of functions.
    #![deny(missing_docs, unreachable_pub, dead_code, private_interfaces, clippy::all, clippy::pedantic)]

    use super::*;

    /// What `report` answers.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Report(pub i64, pub Vec<&'static str>);
    /// Counts one.
    pub struct Tick;
    /// Counts more.
    pub struct Tock(pub i64);

    /// The server.
    pub struct Counter {
        value: i64,
        waiting: Option<CallFrom<Report>>,
        events: Vec<&'static str>,
    }

    #[gen_server]
    impl Counter {
        async fn init(start: i64) -> Init<Self> {
            if start < 0 {
                return Init::stop(ExitReason::Shutdown);
            }
            Init::ok(Counter { value: start, waiting: None, events: Vec::new() })
        }

        /// Adds `by` and returns the new value.
        #[call]
        async fn increment(&mut self, by: i64) -> i64 {
            self.bump(by);
            std::future::ready(()).await;
            self.value
        }

        #[call]
        fn get(&self) -> i64 {
            self.value
        }

        #[call]
        async fn touch(&mut self) {
            self.events.push("touch");
        }

        #[call]
        async fn len(&self) -> usize {
            self.events.len()
        }

        /// Answered by the next `flush`.
        #[call]
        async fn report(&mut self, from: CallFrom<Report>) -> Reply<Report> {
            self.waiting = Some(from);
            Reply::later()
        }

        #[call]
        async fn report_of(&mut self, factor: i64, from: CallFrom<Report>, extra: i64) -> Reply<Report> {
            from.reply(Report(self.value * factor + extra, Vec::new()));
            Reply::later()
        }

        #[ibeam::call]
        fn stop_with(&mut self, reason: ExitReason) -> ibeam::Reply<&'static str> {
            Reply::now("bye").stop(reason)
        }

        #[call]
        async fn pair(&mut self, (a, b): (i64, i64), _: u8, mut c: i64) -> Option<(i64, i64)> {
            c += 1;
            Some((a + c, b + c))
        }

        #[call]
        fn parse(&mut self, text: String) -> Result<i64, std::num::ParseIntError> {
            let value = text.parse()?;
            self.value = value;
            Ok(value)
        }

        #[cast]
        async fn reset(&mut self) {
            self.value = 0;
        }

        #[cast]
        async fn flush(&mut self, event: &'static str) -> Next {
            self.events.push(event);
            if let Some(from) = self.waiting.take() {
                from.reply(Report(self.value, self.events.clone()));
            }
            Next::hibernate()
        }

        #[info]
        async fn tick(&mut self, _: Tick) -> Next {
            self.bump(1);
            Next::go_on()
        }

        #[info]
        fn tock(&mut self, Tock(by): Tock) {
            self.bump(by);
        }

        async fn handle_info(&mut self, message: Message) {
            self.events.push(if message.is::<u8>() { "u8" } else { "other" });
        }

        fn handle_timeout(&mut self) -> Next {
            self.events.push("timeout");
            Next::go_on()
        }

        async fn handle_continue(&mut self, _step: Continue) {
            self.events.push("continue");
        }

        async fn terminate(&mut self, reason: &ExitReason) {
            assert_eq!(*reason, ExitReason::Shutdown);
            self.value = -1;
        }

        fn bump(&mut self, by: i64) {
            self.value += by;
        }
    }
}

use counter::{Counter, CounterClient, Report, Tick, Tock};

#[test]
fn calls_and_casts_are_methods_of_the_reference() {
    run(async {
        let counter: ServerRef<Counter> = Counter::start_link(40).name("counter").await.unwrap();
        assert_eq!(counter.increment(2).await, Ok(42));
        assert_eq!(counter.get().timeout(Duration::from_secs(1)).await, Ok(42));
        assert_eq!(counter.touch().await, Ok(()));
        assert_eq!(counter.len().await, Ok(1));
        counter.reset();
        assert_eq!(counter.get().await, Ok(0));
        assert_eq!(counter.parse("7".to_owned()).await.unwrap(), Ok(7));
        assert!(counter.parse("x".to_owned()).await.unwrap().is_err());
        assert_eq!(counter.get().await, Ok(7));
    });
}

#[test]
fn arguments_may_be_patterns() {
    run(async {
        let counter = Counter::start(0).await.unwrap();
        assert_eq!(counter.pair((1, 2), 0, 3).await, Ok(Some((5, 6))));
    });
}

#[test]
fn a_call_may_take_its_caller_at_any_place() {
    run(async {
        let counter = Counter::start(5).await.unwrap();
        assert_eq!(counter.report_of(2, 1).await, Ok(Report(11, Vec::new())));
    });
}

#[test]
fn infos_go_by_type_and_the_rest_to_handle_info() {
    run(async {
        let counter = Counter::start(0).await.unwrap();
        counter.send(Tick);
        counter.send(Tock(10));
        counter.pid().unwrap().send(1_u8);
        counter.pid().unwrap().send("else");
        assert_eq!(counter.get().await, Ok(11));
        counter.flush("flushed");
        assert_eq!(counter.len().await, Ok(3));
    });
}

#[test]
fn a_call_may_stop_the_server() {
    run(async {
        let counter = Counter::start(0).await.unwrap();
        assert_eq!(counter.stop_with(ExitReason::Shutdown).await, Ok("bye"));
        assert!(counter.get().await.is_err());
    });
}

#[test]
fn init_may_refuse_to_start() {
    run(async {
        assert!(Counter::start(-1).await.is_err());
    });
}

#[test]
fn the_functions_work_without_a_process() {
    run(async {
        struct Plain(u8);
        #[gen_server]
        impl Plain {
            fn init() -> Init<Self> {
                Init::ok(Plain(1))
            }
            #[call]
            async fn double(&mut self) -> u8 {
                self.0 *= 2;
                self.0
            }
        }
        let mut plain = Plain(3);
        assert_eq!(plain.double().await, 6);
        let server = Plain::start().await.unwrap();
        assert_eq!(server.double().await, Ok(2));
    });
}

mod cache {
    use std::collections::HashMap;
    use std::hash::Hash;

    use super::*;

    /// A server with parameters, a name for its client, and more than one argument for `init`.
    pub(crate) struct Cache<K, V, const LIMIT: usize>
    where
        K: Eq + Hash + Send + 'static,
    {
        map: HashMap<K, V>,
        fallback: V,
    }

    #[gen_server(client = pub(crate) CacheApi)]
    impl<K, V: Clone + Send + 'static, const LIMIT: usize> Cache<K, V, LIMIT>
    where
        K: Eq + Hash + Send + 'static,
    {
        async fn init(first: (K, V), fallback: V) -> Init<Self> {
            Init::ok(Self { map: HashMap::from([first]), fallback })
        }

        #[call]
        async fn fetch(&mut self, key: K) -> V {
            self.map.get(&key).unwrap_or(&self.fallback).clone()
        }

        #[call]
        fn size(&mut self) -> usize {
            self.map.len()
        }

        #[cast]
        fn put(&mut self, key: K, value: V) {
            if self.map.len() < LIMIT {
                self.map.insert(key, value);
            }
        }

        /// `Self` in an argument is the server's type.
        #[cast]
        fn merge(&mut self, other: Box<Self>) {
            self.map.extend(other.map);
        }

        #[info]
        fn on_default(&mut self, value: Option<V>) {
            if let Some(value) = value {
                self.fallback = value;
            }
        }
    }

    impl<K: Eq + Hash + Send + 'static, V> Cache<K, V, 2> {
        pub(crate) fn empty(fallback: V) -> Self {
            Self { map: HashMap::new(), fallback }
        }
    }
}

#[test]
fn a_server_may_have_type_parameters() {
    use cache::{Cache, CacheApi};
    run(async {
        let cache = Cache::<&'static str, u32, 2>::start(("a", 1), 0).await.unwrap();
        assert_eq!(cache.fetch("a").await, Ok(1));
        assert_eq!(cache.fetch("b").await, Ok(0));
        cache.put("b", 2);
        cache.put("c", 3);
        assert_eq!(cache.size().await, Ok(2));
        cache.send(Some(9_u32));
        assert_eq!(cache.fetch("c").await, Ok(9));
        cache.merge(Box::new(Cache::empty(1)));
        assert_eq!(cache.size().await, Ok(2));
    });
}

mod own_start {
    use super::*;

    pub(crate) struct Named {
        pub(crate) name: String,
    }

    #[gen_server]
    impl Named {
        async fn init(name: String) -> Init<Self> {
            Init::ok(Self { name })
        }

        /// The user's own way to start replaces the generated one.
        pub(crate) fn start(name: &str) -> ibeam::Start<Self> {
            Self::start_link(name.to_owned())
        }

        #[call]
        fn current(&self) -> String {
            self.name.clone()
        }

        #[cfg(not(test))]
        #[call]
        fn missing(&self, _: NoSuchType) -> NoSuchType {
            unreachable!()
        }

        #[cfg(test)]
        #[info]
        fn rename(&mut self, to: String) {
            self.name = to;
        }

        #[cfg(not(test))]
        #[info]
        fn rename(&mut self, to: String) {
            drop(to);
        }
    }
}

#[test]
fn an_own_start_replaces_the_generated_one() {
    use own_start::{Named, NamedClient};
    run(async {
        let named = Named::start("joe").await.unwrap();
        assert_eq!(named.current().await.as_deref(), Ok("joe"));
        named.send("ann".to_owned());
        assert_eq!(named.current().await.as_deref(), Ok("ann"));
    });
}

mod by_hand {
    use super::*;

    pub(crate) struct Mixed(pub(crate) u8);

    #[gen_server]
    impl Mixed {
        fn init(start: u8) -> Init<Self> {
            Init::ok(Self(start))
        }
        #[call]
        fn r#type(&mut self) -> &'static str {
            "mixed"
        }
    }

    /// A request with a type of the user's own, beside the generated ones.
    pub(crate) struct Add(pub(crate) u8);

    impl HandleCall<Add> for Mixed {
        type Reply = u8;
        async fn handle_call(&mut self, Add(n): Add, _from: CallFrom<u8>) -> Reply<u8> {
            self.0 += n;
            Reply::now(self.0)
        }
    }
}

#[test]
fn requests_written_by_hand_go_beside_generated_ones() {
    use by_hand::{Add, Mixed, MixedClient};
    run(async {
        let mixed = Mixed::start(1).await.unwrap();
        assert_eq!(mixed.r#type().await, Ok("mixed"));
        assert_eq!(mixed.call(Add(2)).await, Ok(3));
    });
}

#[test]
fn a_macro_may_write_the_server() {
    macro_rules! cell {
        ($name:ident, $get:ident, $type:ty) => {
            struct $name($type);
            #[gen_server]
            impl $name {
                async fn init(value: $type) -> Init<Self> {
                    Init::ok(Self(value))
                }
                #[call]
                async fn $get(&mut self) -> $type {
                    self.0.clone()
                }
                #[cast]
                fn set(&mut self, value: $type) {
                    self.0 = value;
                }
                #[info]
                fn on(&mut self, value: $type) {
                    self.0 = value;
                }
                fn terminate(&mut self, _reason: &ExitReason) {}
            }
        };
    }
    cell!(Text, text, String);
    run(async {
        // The trait's name comes from the caller's `Text`, so it is in scope here.
        let cell = Text::start("a".to_owned()).await.unwrap();
        cell.set("b".to_owned());
        assert_eq!(cell.text().await.as_deref(), Ok("b"));
    });
}

#[test]
fn next_and_reply_may_be_names_of_the_users_own() {
    mod resp {
        #[derive(Debug, PartialEq)]
        pub(super) enum Reply {
            Ok,
        }
    }
    struct Server;
    #[gen_server]
    impl Server {
        fn init() -> Init<Self> {
            Init::ok(Server)
        }
        #[call]
        fn answer(&mut self) -> resp::Reply {
            resp::Reply::Ok
        }
    }
    run(async {
        let server = Server::start().await.unwrap();
        assert_eq!(server.answer().await, Ok(resp::Reply::Ok));
    });
}
