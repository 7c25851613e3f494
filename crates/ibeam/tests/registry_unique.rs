//! Elixir's suite of registries with unique keys, its doctests and its suite of locks: rows REG-001 to 025 and 050 to 062.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod registries;

use common::{at_hand, first, on_every_driver};
use ibeam::prelude::*;
use registries::{
    Agent, Float, HELLO, Int, Key, OneEach, PARTITIONS, VALUE, Value, WORLD, map, on_duplicate, on_unique,
    process_that, shared, sorted, tuple,
};

fn me() -> Pid {
    process::self_pid()
}

#[test]
fn reg_001_locks_of_different_keys() {
    struct Locked(u8);
    struct Done(u8);
    struct Release;
    on_unique(|registry| async move {
        let test = me();
        let holder = |key: u8| {
            let registry = registry.clone();
            process::spawn(async move {
                let hold = || async {
                    test.send(Locked(key));
                    first::<Release>().await;
                };
                registry.lock(key, hold).await;
                test.send(Done(key));
            })
        };
        let holders = [holder(1), holder(2)];
        let locked = [first::<Locked>().await.0, first::<Locked>().await.0];
        assert_eq!(sorted(locked.to_vec()), [1, 2], "both hold their locks at the same time");
        holders.into_iter().for_each(|holder| holder.send(Release));
        let done = [first::<Done>().await.0, first::<Done>().await.0];
        assert_eq!(sorted(done.to_vec()), [1, 2]);
        assert_eq!(registry.lock(1_u8, || async { "again" }).await, "again");
        assert_eq!(registry.lock(2_u8, || async { "again" }).await, "again");
    });
}

#[test]
fn reg_002_as_many_partitions_as_asked_for() {
    on_every_driver(|| async {
        for partitions in PARTITIONS {
            let registry: OneEach =
                Registry::unique("registry").partitions(partitions).start_link().await.unwrap();
            let supervisor = SupervisorRef::named(registry.name().clone());
            assert_eq!(supervisor.which_children().await.unwrap().len(), partitions);
            supervisor.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
        }
    });
}

#[test]
fn reg_003_an_empty_registry_counts_0() {
    on_unique(shared::an_empty_registry_counts_0);
}

#[test]
fn reg_004_keys_are_counted() {
    on_unique(|registry| async move {
        registry.register(HELLO, VALUE).unwrap();
        registry.register(WORLD, VALUE).unwrap();
        assert_eq!(registry.count(), 2);
    });
}

#[test]
fn reg_005_unique_registrations() {
    on_unique(|registry| async move {
        let partition = registry.register(HELLO, VALUE).unwrap();
        let children = SupervisorRef::named(registry.name().clone()).which_children().await.unwrap();
        assert!(children.iter().any(|child| child.pid == Some(partition)));
        assert_eq!((registry.keys(me()), registry.values(&HELLO, me())), (vec![HELLO], vec![VALUE]));
        let error = registry.register(HELLO, Value::Text("other")).unwrap_err();
        let name = registry.name().clone();
        assert_eq!(error, RegisterError::AlreadyRegistered { registry: name, key: HELLO, pid: me() });
        assert_eq!((registry.keys(me()), registry.values(&HELLO, me())), (vec![HELLO], vec![VALUE]));
        registry.register(WORLD, VALUE).unwrap();
        assert_eq!(sorted(registry.keys(me())), [HELLO, WORLD]);
    });
}

#[test]
fn reg_006_values_that_match() {
    on_unique(|registry| async move {
        registry.register(HELLO, tuple(1, 1)).unwrap();
        let hello = vec![(me(), tuple(1, 1))];
        assert_eq!(registry.matching(&HELLO, |value| value.is_first(Int(1))), hello);
        assert_eq!(registry.matching(&HELLO, |value| value.is_first(Float(1.0))), []);
        assert_eq!(registry.matching(&HELLO, Value::is_atom), hello);
        assert_eq!(registry.matching(&HELLO, Value::is_first_the_third), hello);
        assert_eq!(registry.matching(&HELLO, |_| true), hello);
        assert_eq!(registry.matching(&Key::Text("_"), |_| true), []);
        registry.register(WORLD, map()).unwrap();
        assert_eq!(registry.matching(&WORLD, |value| value.has("b")), [(me(), map())]);
    });
}

#[test]
fn reg_007_values_with_conditions() {
    on_unique(|registry| async move {
        registry.register(HELLO, tuple(1, 2)).unwrap();
        let hello = vec![(me(), tuple(1, 2))];
        assert_eq!(registry.matching(&HELLO, |value| value.third() > 1), hello);
        assert_eq!(registry.matching(&HELLO, |value| value.third() > 2), []);
        assert_eq!(registry.matching(&HELLO, Value::is_atom), hello);
    });
}

#[test]
fn reg_008_values_that_match_are_counted() {
    on_unique(|registry| async move {
        registry.register(HELLO, tuple(1, 1)).unwrap();
        assert_eq!(registry.count_match(&HELLO, |value| value.is_first(Int(1))), 1);
        assert_eq!(registry.count_match(&HELLO, |value| value.is_first(Float(1.0))), 0);
        assert_eq!(registry.count_match(&HELLO, Value::is_atom), 1);
        assert_eq!(registry.count_match(&HELLO, Value::is_first_the_third), 1);
        assert_eq!(registry.count_match(&HELLO, |_| true), 1);
        assert_eq!(registry.count_match(&Key::Text("_"), |_| true), 0);
        registry.register(WORLD, map()).unwrap();
        assert_eq!(registry.count_match(&WORLD, |value| value.has("b")), 1);
    });
}

#[test]
fn reg_009_values_with_conditions_are_counted() {
    on_unique(shared::values_with_conditions_are_counted);
}

#[test]
fn reg_010_unregister_with_a_condition() {
    on_unique(|registry| async move {
        registry.register(HELLO, tuple(1, 1)).unwrap();
        registry.unregister_match(&HELLO, |value| value.first() < 2);
        assert_eq!((registry.keys(me()), registry.lookup(&HELLO)), (vec![], None));
    });
}

#[test]
fn reg_011_an_integer_and_a_float_are_two_keys() {
    on_unique(shared::an_integer_and_a_float_are_two_keys);
}

#[test]
fn reg_012_unregister_by_key() {
    on_unique(|registry| async move {
        registry.unregister(&HELLO);
        registry.register(HELLO, VALUE).unwrap();
        registry.register(WORLD, VALUE).unwrap();
        registry.unregister(&HELLO);
        assert_eq!(registry.keys(me()), [WORLD]);
        registry.unregister(&WORLD);
        assert_eq!(registry.keys(me()), []);
    });
}

#[test]
fn reg_013_unregister_without_entries() {
    on_unique(shared::unregister_without_entries);
}

#[test]
fn reg_014_listeners() {
    on_every_driver(|| async {
        process::register("listener", me()).unwrap();
        let registry: OneEach =
            Registry::unique("registry").listeners(["listener", "nobody"]).start_link().await.unwrap();
        let name = registry.name().clone();
        let other = registry.clone();
        let pid = process_that(move || drop(other.register(HELLO, Value::Text("world")))).await;
        assert_eq!(
            at_hand::<RegistryEvent<Key, Value>>(),
            RegistryEvent::Registered {
                registry: name.clone(),
                key: HELLO,
                pid,
                value: Value::Text("world")
            }
        );
        registry.register(WORLD, VALUE).unwrap();
        assert_eq!(
            at_hand::<RegistryEvent<Key, Value>>(),
            RegistryEvent::Registered { registry: name.clone(), key: WORLD, pid: me(), value: VALUE }
        );
        registry.unregister(&WORLD);
        assert_eq!(
            at_hand::<RegistryEvent<Key, Value>>(),
            RegistryEvent::Unregistered { registry: name.clone(), key: WORLD, pid: me() }
        );
        process::kill(pid);
        common::end_of(pid).await;
        assert_eq!(
            at_hand::<RegistryEvent<Key, Value>>(),
            RegistryEvent::Unregistered { registry: name, key: HELLO, pid }
        );
    });
}

#[test]
fn reg_015_an_unknown_registry() {
    on_every_driver(|| async {
        let nobody = OneEach::named("nobody");
        let error = nobody.register(HELLO, VALUE).unwrap_err();
        assert!(error.to_string().starts_with("unknown registry `nobody`"), "{error}");
        assert_eq!((nobody.lookup(&HELLO), nobody.count(), nobody.keys(me())), (None, 0, vec![]));
    });
}

#[test]
fn reg_016_a_name_with_a_value() {
    on_unique(|registry| async move {
        let agent = Agent::start_link(()).name(registry.via_with(HELLO, VALUE)).await.unwrap();
        assert_eq!(registry.lookup(&HELLO), Some((agent.pid().unwrap(), VALUE)));
        assert_eq!(ServerRef::<Agent>::via(&registry, HELLO).pid(), agent.pid());
    });
}

#[test]
fn reg_017_nothing_to_select() {
    on_unique(shared::nothing_to_select);
}

#[test]
fn reg_018_everything_is_selected() {
    on_unique(|registry| async move {
        let agent = Agent::start_link(()).name(registry.via(HELLO)).await.unwrap();
        registry.register(WORLD, VALUE).unwrap();
        let mut all = registry.select(|key, pid, value| Some((key.clone(), pid, value.clone())));
        all.sort_by_key(|(key, ..)| key.clone());
        assert_eq!(all, [(HELLO, agent.pid().unwrap(), Value::Nil), (WORLD, me(), VALUE)]);
    });
}

#[test]
fn reg_019_selected_with_conditions() {
    on_unique(shared::selected_with_conditions);
}

#[test]
fn reg_020_selected_in_several_ways() {
    on_unique(shared::selected_in_several_ways);
}

#[test]
fn reg_022_selected_ones_are_counted() {
    on_unique(shared::selected_ones_are_counted);
}

#[test]
fn reg_023_selected_ones_with_conditions_are_counted() {
    on_unique(shared::selected_ones_with_conditions_are_counted);
}

#[test]
fn reg_024_counted_in_several_ways() {
    on_unique(shared::counted_in_several_ways);
}

#[test]
fn reg_050_update_value() {
    on_every_driver(|| async {
        let registry = Registry::<&str, i64>::unique("registry").start_link().await.unwrap();
        registry.register("hello", 1).unwrap();
        assert_eq!(registry.update_value(&"hello", |value| value + 1), Some((2, 1)));
        assert_eq!(registry.lookup(&"hello"), Some((me(), 2)));
        assert_eq!(registry.update_value(&"world", |value| value + 1), None);
    });
}

#[test]
fn reg_051_lookup() {
    on_unique(|registry| async move {
        assert_eq!(registry.lookup(&HELLO), None);
        registry.register(HELLO, WORLD_VALUE).unwrap();
        assert_eq!(registry.lookup(&HELLO), Some((me(), WORLD_VALUE)));
        let (owner, other) = (me(), registry.clone());
        process_that(move || assert_eq!(other.lookup(&HELLO), Some((owner, WORLD_VALUE)))).await;
    });
    on_duplicate(|registry| async move {
        assert_eq!(registry.lookup(&HELLO), []);
        registry.register(HELLO, WORLD_VALUE).unwrap();
        let one = vec![(me(), WORLD_VALUE)];
        assert_eq!(registry.lookup(&HELLO), one);
        let other = registry.clone();
        process_that(move || assert_eq!(other.lookup(&HELLO), one)).await;
        registry.register(HELLO, Value::Text("another")).unwrap();
        assert_eq!(registry.lookup(&HELLO), [(me(), WORLD_VALUE), (me(), Value::Text("another"))]);
    });
}

const WORLD_VALUE: Value = Value::Text("world");

#[test]
fn reg_052_lock() {
    on_unique(|registry| async move {
        assert_eq!(registry.lock("hello", || async { "ok" }).await, "ok");
        assert_eq!(registry.lock("world", || async { me() }).await, me());
    });
}

#[test]
fn reg_053_match() {
    on_duplicate(|registry| async move {
        let (one, two) = ((me(), tuple(1, 1)), (me(), tuple(2, 2)));
        registry.register(HELLO, one.1.clone()).unwrap();
        registry.register(HELLO, two.1.clone()).unwrap();
        assert_eq!(registry.matching(&HELLO, |value| value.is_first(Int(1))), std::slice::from_ref(&one));
        assert_eq!(registry.matching(&HELLO, |value| value.is_first(Int(2))), std::slice::from_ref(&two));
        assert_eq!(registry.matching(&HELLO, Value::is_atom), [one.clone(), two.clone()]);
        assert_eq!(registry.matching(&HELLO, Value::is_first_the_third), [one.clone(), two.clone()]);
        assert_eq!(registry.matching(&HELLO, |value| value.first() > 1), std::slice::from_ref(&two));
        assert_eq!(registry.matching(&HELLO, |value| value.is_atom() && value.first() < 3), [one, two]);
    });
}

#[test]
fn reg_054_unregister() {
    on_unique(|registry| async move {
        registry.register(HELLO, VALUE).unwrap();
        registry.unregister(&HELLO);
        assert_eq!(registry.keys(me()), []);
    });
    on_duplicate(|registry| async move {
        registry.register(HELLO, VALUE).unwrap();
        registry.register(HELLO, WORLD_VALUE).unwrap();
        registry.unregister(&HELLO);
        assert_eq!((registry.keys(me()), registry.lookup(&HELLO)), (vec![], vec![]));
    });
}

#[test]
fn reg_055_unregister_match() {
    on_unique(|registry| async move {
        registry.register(HELLO, WORLD_VALUE).unwrap();
        registry.unregister_match(&HELLO, |value| *value == Value::Text("a"));
        assert_eq!(registry.keys(me()), [HELLO]);
        registry.unregister_match(&HELLO, |value| *value == WORLD_VALUE);
        assert_eq!(registry.keys(me()), []);
    });
    on_duplicate(|registry| async move {
        for value in ["a", "b", "c"] {
            registry.register(HELLO, Value::Text(value)).unwrap();
        }
        registry.unregister_match(&HELLO, |value| *value == Value::Text("a"));
        assert_eq!(registry.keys(me()), [HELLO, HELLO]);
        assert_eq!(registry.values(&HELLO, me()), [Value::Text("b"), Value::Text("c")]);
    });
}

#[test]
fn reg_056_register() {
    on_unique(|registry| async move {
        registry.register(HELLO, VALUE).unwrap();
        let name = registry.name().clone();
        let taken = RegisterError::AlreadyRegistered { registry: name, key: HELLO, pid: me() };
        assert_eq!(registry.register(HELLO, VALUE), Err(taken));
    });
    on_duplicate(|registry| async move {
        registry.register(HELLO, VALUE).unwrap();
        registry.register(HELLO, VALUE).unwrap();
    });
}

#[test]
fn reg_057_put_meta() {
    on_unique(|registry| async move {
        registry.put_meta("custom_key", "custom_value");
        assert_eq!(registry.meta::<&str>("custom_key"), Some("custom_value"));
        registry.put_meta(("tuple", 1), 7_u8);
        assert_eq!(registry.meta::<u8>(("tuple", 1)), Some(7));
        assert_eq!(registry.meta::<u16>(("tuple", 1)), None, "it is no `u16`");
    });
}

#[test]
fn reg_058_delete_meta() {
    on_unique(|registry| async move {
        registry.put_meta("custom_key", "custom_value");
        assert_eq!(registry.meta::<&str>("custom_key"), Some("custom_value"));
        registry.delete_meta("custom_key");
        assert_eq!(registry.meta::<&str>("custom_key"), None);
    });
}

#[test]
fn reg_059_count() {
    on_unique(|registry| async move {
        assert_eq!(registry.count(), 0);
        registry.register(HELLO, VALUE).unwrap();
        registry.register(WORLD, VALUE).unwrap();
        assert_eq!(registry.count(), 2);
    });
    on_duplicate(|registry| async move {
        assert_eq!(registry.count(), 0);
        registry.register(HELLO, VALUE).unwrap();
        registry.register(HELLO, VALUE).unwrap();
        assert_eq!(registry.count(), 2);
    });
}

#[test]
fn reg_060_count_match() {
    on_duplicate(|registry| async move {
        registry.register(HELLO, tuple(1, 1)).unwrap();
        registry.register(HELLO, tuple(2, 2)).unwrap();
        assert_eq!(registry.count_match(&HELLO, |value| value.is_first(Int(1))), 1);
        assert_eq!(registry.count_match(&HELLO, |value| value.is_first(Int(2))), 1);
        assert_eq!(registry.count_match(&HELLO, Value::is_atom), 2);
        assert_eq!(registry.count_match(&HELLO, Value::is_first_the_third), 2);
        assert_eq!(registry.count_match(&HELLO, |value| value.third() > 1), 1);
        assert_eq!(registry.count_match(&HELLO, |value| matches!(value, Value::Tuple(_, "atom", _))), 2);
    });
}

#[test]
fn reg_061_select() {
    on_unique(|registry| async move {
        registry.register(HELLO, VALUE).unwrap();
        registry.register(WORLD, VALUE).unwrap();
        let all = registry.select(|key, pid, value| Some((key.clone(), pid, value.clone())));
        assert_eq!(all.len(), 2);
        assert!(all.contains(&(HELLO, me(), VALUE)) && all.contains(&(WORLD, me(), VALUE)));
        assert_eq!(sorted(registry.select(|key, _, _| Some(key.clone()))), [HELLO, WORLD]);
    });
}

#[test]
fn reg_062_count_select() {
    on_unique(|registry| async move {
        registry.register(HELLO, VALUE).unwrap();
        registry.register(WORLD, VALUE).unwrap();
        assert_eq!(registry.count_select(|_, _, value| *value == VALUE), 2);
    });
}
