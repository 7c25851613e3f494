//! What one process can do by itself and with its neighbours, as Elixir's own tests of `Process` ask for it.
//!
//! Names begin with the row of the conformance list that the test is for.

mod common;
mod common_time;

use std::time::Duration;

use common::{down, end_of, idle, is_alive, next, nothing_comes, on_each_driver, on_every_driver};
use common_time::Scale;
use ibeam_runtime::process::{self, Key};
use ibeam_runtime::{Alias, AliasMode, ExitReason};

const FOO: Key<&str> = Key::new("foo");

#[test]
fn proc_001_dictionary() {
    on_every_driver(|| async {
        // Values have types of their own, so there is no `get_keys/1`: who looks for a value asks each key of its type.
        let with_value =
            |value| process::keys().into_iter().filter(move |_| process::get(FOO) == Some(value));
        assert_eq!(process::put(FOO, "bar"), None);
        assert_eq!(process::put(FOO, "baz"), Some("bar"));
        assert!(process::keys().contains(&"foo"));
        assert_eq!(with_value("bar").count(), 0);
        assert_eq!(with_value("baz").collect::<Vec<_>>(), ["foo"]);
        assert_eq!(process::get(FOO), Some("baz"));
        assert_eq!(process::take(FOO), Some("baz"));
        assert_eq!(process::get(FOO), None);
        assert!(process::keys().is_empty());
    });
}

#[test]
fn proc_004_sleep_for_zero() {
    on_every_driver(|| async {
        process::sleep(Duration::ZERO).await;
    });
}

#[test]
fn proc_005_sleep_for_2_to_the_32_milliseconds() {
    on_each_driver(|driver| async move {
        let (pid, monitor) = process::spawn_monitor(process::sleep(Duration::from_millis(1 << 32)));
        nothing_comes(driver.window(Duration::from_millis(100))).await;
        assert!(is_alive(pid).await);
        process::kill(pid);
        assert_eq!(down(monitor).await.reason, ExitReason::Killed);
    });
}

#[test]
fn proc_006_info_with_registered_name() {
    on_every_driver(|| async {
        let name_of = async |pid| process::info(pid).await.map(|info| info.name);
        let dead = process::builder().name("of the dead").spawn(idle());
        process::kill(dead);
        // The kill comes first, so whoever asks afterwards asks for a process that is not there.
        assert_eq!(name_of(dead).await, None);
        assert_eq!(end_of(dead).await, ExitReason::NoProc);
        // And whoever is told that it is not there finds nothing of it.
        assert_eq!(process::whereis("of the dead"), None);

        let me = process::self_pid();
        assert_eq!((process::name(), name_of(me).await), (None, Some(None)));
        process::register("process_test_name", me).unwrap();
        assert_eq!(process::name().expect("just registered"), "process_test_name");
        assert_eq!(name_of(me).await.flatten().expect("just registered"), "process_test_name");
        process::spawn(async move {
            me.send(process::info(me).await.map(|info| info.name));
        });
        let as_seen_by_another = next::<Option<Option<ibeam_runtime::Name>>>().await;
        assert_eq!(as_seen_by_another.flatten().expect("registered"), "process_test_name");
    });
}

#[test]
fn proc_007_send_after_sends_a_message_once_expired() {
    on_each_driver(|driver| async move {
        let (start, delay) = (process::now(), Scale(driver).ms(10));
        process::send_after(process::self_pid(), "hello", delay);
        assert_eq!(next::<&str>().await, "hello");
        Scale(driver).passed(start, 10, 100);
        nothing_comes(driver.window(Duration::from_secs(1))).await;
    });
}

#[test]
fn proc_008_send_at_an_absolute_time() {
    on_each_driver(|driver| async move {
        let (start, delay) = (process::now(), Scale(driver).ms(10));
        process::send_at(process::self_pid(), "hello", start + delay);
        assert_eq!(next::<&str>().await, "hello");
        Scale(driver).passed(start, 10, 100);
        nothing_comes(driver.window(Duration::from_secs(1))).await;
    });
}

#[test]
fn proc_009_an_alias_that_was_dropped_takes_no_answer() {
    on_each_driver(|driver| async move {
        let server = process::spawn(async {
            loop {
                next::<Alias>().await.send("answer");
            }
        });
        let used = process::alias(AliasMode::Explicit);
        server.send(used);
        assert_eq!(next::<&str>().await, "answer");

        let dropped = process::alias(AliasMode::Explicit);
        assert!(process::unalias(dropped));
        assert!(!process::unalias(dropped));
        server.send(dropped);
        nothing_comes(driver.window(Duration::from_millis(20))).await;

        // The other one is still there.
        server.send(used);
        assert_eq!(next::<&str>().await, "answer");
    });
}

#[test]
fn proc_010_a_label_is_read_by_the_process_and_by_pid() {
    on_every_driver(|| async {
        let (me, label) =
            (process::self_pid(), async |pid| process::info(pid).await.expect("it lives").label);
        process::set_label("some label");
        assert_eq!(process::label().as_deref(), Some("some label"));
        assert_eq!(label(me).await.as_deref(), Some("some label"));
        let labelled = process::builder().label("from its start").spawn(idle());
        assert_eq!(label(labelled).await.as_deref(), Some("from its start"));
    });
}

#[test]
fn proc_011_no_label_when_none_was_set() {
    on_every_driver(|| async {
        assert_eq!(process::label(), None);
        assert_eq!(process::info(process::self_pid()).await.expect("it lives").label, None);
        let other = process::spawn(idle());
        assert_eq!(process::info(other).await.expect("it lives").label, None);
    });
}

#[test]
fn proc_012_setting_a_label_shows_in_inspection() {
    on_every_driver(|| async {
        let me = process::self_pid();
        let pid = process::spawn(async move {
            for label in ["first", "second"] {
                process::set_label(label);
                me.send(());
                next::<()>().await;
            }
        });
        for label in ["first", "second"] {
            next::<()>().await;
            assert_eq!(process::info(pid).await.expect("it lives").label.as_deref(), Some(label));
            pid.send(());
        }
    });
}

#[test]
fn proc_013_get_with_a_default() {
    on_every_driver(|| async {
        let key = Key::new("locale");
        assert_eq!(process::get_or(key, "pt"), "pt");
        process::put(key, "fr");
        assert_eq!(process::get_or(key, "pt"), "fr");
    });
}

#[test]
fn proc_014_keys() {
    on_every_driver(|| async {
        assert!(!process::keys().contains(&"locale"));
        process::put(Key::new("locale"), "pt");
        assert!(process::keys().contains(&"locale"));
    });
}

#[test]
fn proc_015_put_returns_the_former_value() {
    on_every_driver(|| async {
        let key = Key::new("locale");
        assert_eq!(process::put(key, "en"), None);
        assert_eq!(process::put(key, "fr"), Some("en"));
    });
}

#[test]
fn proc_016_take_returns_the_value_once() {
    on_every_driver(|| async {
        let key = Key::new("comments");
        process::put(key, vec!["comment"]);
        assert_eq!(process::take(key), Some(vec!["comment"]));
        assert_eq!(process::take(key), None);
    });
}

#[test]
fn local_values_are_each_process_own_and_go_with_it() {
    on_every_driver(|| async {
        struct Told(ibeam_runtime::Pid, &'static str);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send(self.1);
            }
        }
        let me = process::self_pid();
        process::put(Key::new("value"), Told(me, "mine"));
        let (_pid, monitor) = process::spawn_monitor(async move {
            assert!(process::keys().is_empty());
            process::put(Key::new("value"), Told(me, "first"));
            // One name and two types: two keys.
            process::put(Key::new("value"), 1);
            assert_eq!(process::keys().len(), 2);
            drop(process::put(Key::new("value"), Told(me, "second")));
        });
        assert_eq!(next::<&str>().await, "first");
        assert_eq!(next::<&str>().await, "second");
        assert!(down(monitor).await.reason.is_normal());
        drop(process::take::<Told>(Key::new("value")));
        assert_eq!(next::<&str>().await, "mine");
    });
}
