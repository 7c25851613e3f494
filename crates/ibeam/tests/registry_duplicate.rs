//! Elixir's suite of registries with duplicate keys: rows REG-026 to 049.

#[path = "../../ibeam-runtime/tests/common/mod.rs"]
mod common;
mod registries;

use common::on_every_driver;
use ibeam::prelude::*;
use ibeam::registry::PartitionBy;
use registries::{
    Float, HELLO, Int, Key, Many, PARTITIONS, VALUE, Value, WORLD, map, on_duplicate, process_that, shared,
    sorted, tuple,
};

fn me() -> Pid {
    process::self_pid()
}

#[test]
fn reg_026_as_many_partitions_as_asked_for() {
    on_every_driver(|| async {
        for partitions in PARTITIONS {
            for by in [None, Some(PartitionBy::Pid), Some(PartitionBy::Key)] {
                let mut registry = Registry::<Key, Value>::duplicate("registry").partitions(partitions);
                if let Some(by) = by {
                    registry = registry.partition_by(by);
                }
                registry.start_link().await.unwrap();
                let supervisor = SupervisorRef::named("registry");
                assert_eq!(supervisor.which_children().await.unwrap().len(), partitions);
                supervisor.stop(ExitReason::Normal, Timeout::Infinity).await.unwrap();
            }
        }
    });
}

#[test]
fn reg_027_an_empty_registry_counts_0() {
    on_duplicate(shared::an_empty_registry_counts_0);
}

#[test]
fn reg_028_duplicate_registrations() {
    on_duplicate(|registry| async move {
        let partition = registry.register(HELLO, VALUE).unwrap();
        let children = SupervisorRef::named(registry.name().clone()).which_children().await.unwrap();
        assert!(children.iter().any(|child| child.pid == Some(partition)));
        assert_eq!(registry.keys(me()), [HELLO]);
        assert_eq!(registry.register(HELLO, VALUE), Ok(partition));
        assert_eq!(registry.keys(me()), [HELLO, HELLO]);
        assert_eq!(registry.values(&HELLO, me()), [VALUE, VALUE]);
        assert_eq!(registry.register(WORLD, VALUE), Ok(partition));
        assert_eq!(sorted(registry.keys(me())), [HELLO, HELLO, WORLD]);
    });
}

#[test]
fn reg_029_duplicate_registrations_across_processes() {
    on_duplicate(|registry| async move {
        let other = registry.clone();
        let pid = process_that(move || drop(other.register(HELLO, Value::Text("world")))).await;
        assert_eq!((registry.keys(me()), registry.values(&HELLO, me())), (vec![], vec![]));
        assert_eq!(registry.keys(pid), [HELLO]);
        assert_eq!(registry.values(&HELLO, pid), [Value::Text("world")]);
        registry.register(HELLO, VALUE).unwrap();
        assert_eq!((registry.keys(me()), registry.values(&HELLO, me())), (vec![HELLO], vec![VALUE]));
    });
}

#[test]
fn reg_030_an_integer_and_a_float_are_two_keys() {
    on_duplicate(shared::an_integer_and_a_float_are_two_keys);
}

#[test]
fn reg_031_unregister_without_entries() {
    on_duplicate(shared::unregister_without_entries);
}

/// Registers (1, atom, 1) and (2, atom, 2) under hello, and gives both entries.
fn two(registry: &Many) -> [(Pid, Value); 2] {
    registry.register(HELLO, tuple(1, 1)).unwrap();
    registry.register(HELLO, tuple(2, 2)).unwrap();
    [(me(), tuple(1, 1)), (me(), tuple(2, 2))]
}

#[test]
fn reg_032_values_that_match() {
    on_duplicate(|registry| async move {
        let [one, two] = two(&registry);
        assert_eq!(registry.matching(&HELLO, |value| value.is_first(Int(1))).len(), 1);
        assert_eq!(registry.matching(&HELLO, |value| value.is_first(Float(1.0))), []);
        assert_eq!(registry.matching(&HELLO, Value::is_atom), [one.clone(), two.clone()]);
        assert_eq!(registry.matching(&HELLO, Value::is_first_the_third), [one, two.clone()]);
        assert_eq!(registry.matching(&HELLO, |value| value.is_first(Int(2))), [two]);
        assert_eq!(registry.matching(&HELLO, |value| value.is_first(Float(2.0))), []);
    });
}

#[test]
fn reg_033_values_with_conditions() {
    on_duplicate(|registry| async move {
        let [one, two] = two(&registry);
        assert_eq!(registry.matching(&HELLO, |value| value.first() < 2).len(), 1);
        assert_eq!(registry.matching(&HELLO, |value| value.first() > 3), []);
        assert_eq!(registry.matching(&HELLO, |value| value.first() < 3), [one.clone(), two.clone()]);
        assert_eq!(registry.matching(&HELLO, Value::is_atom), [one, two]);
    });
}

#[test]
fn reg_034_values_with_conditions_are_counted() {
    on_duplicate(shared::values_with_conditions_are_counted);
}

#[test]
fn reg_035_unregister_with_a_condition() {
    on_duplicate(|registry| async move {
        let [_, two] = two(&registry);
        registry.unregister_match(&HELLO, |value| value.first() < 2);
        assert_eq!(registry.lookup(&HELLO), [two]);
        assert_eq!(registry.keys(me()), [HELLO]);
    });
}

#[test]
fn reg_036_an_unknown_registry() {
    on_every_driver(|| async {
        let error = Many::named("nobody").register(HELLO, VALUE).unwrap_err();
        assert!(error.to_string().starts_with("unknown registry `nobody`"), "{error}");
    });
}

#[test]
fn reg_037_nothing_to_select() {
    on_duplicate(shared::nothing_to_select);
}

#[test]
fn reg_038_everything_is_selected() {
    on_duplicate(|registry| async move {
        registry.register(HELLO, VALUE).unwrap();
        registry.register(HELLO, VALUE).unwrap();
        let all = registry.select(|key, pid, value| Some((key.clone(), pid, value.clone())));
        assert_eq!(all, [(HELLO, me(), VALUE), (HELLO, me(), VALUE)]);
    });
}

#[test]
fn reg_039_selected_by_each_part() {
    on_duplicate(|registry| async move {
        registry.register(HELLO, tuple(1, 1)).unwrap();
        let hello = vec![(HELLO, me(), tuple(1, 1))];
        let select = |wanted: fn(&Key, Pid, &Value) -> bool| {
            registry
                .select(|key, pid, value| wanted(key, pid, value).then(|| (key.clone(), pid, value.clone())))
        };
        assert_eq!(select(|key, _, _| *key == HELLO), hello);
        assert_eq!(select(|_, pid, _| pid == me()), hello);
        assert_eq!(select(|_, _, value| *value == tuple(1, 1)), hello);
        assert_eq!(select(|key, _, _| *key == WORLD), []);
        assert_eq!(select(|_, _, value| value.is_first(Float(1.0))), []);
        assert_eq!(select(|_, _, value| value.is_first(Int(1))), hello);
        assert_eq!(select(|_, _, value| value.is_first_the_third()), hello);
        registry.register(WORLD, map()).unwrap();
        assert_eq!(registry.select(|_, _, value| value.has("b").then_some("constant")), ["constant"]);
        assert_eq!(sorted(registry.select(|key, _, _| Some(key.clone()))), [HELLO, WORLD]);
    });
}

#[test]
fn reg_040_selected_with_conditions() {
    on_duplicate(shared::selected_with_conditions);
}

#[test]
fn reg_041_selected_in_several_ways() {
    on_duplicate(shared::selected_in_several_ways);
}

#[test]
fn reg_042_selected_ones_are_counted() {
    on_duplicate(shared::selected_ones_are_counted);
}

#[test]
fn reg_043_selected_ones_with_conditions_are_counted() {
    on_duplicate(shared::selected_ones_with_conditions_are_counted);
}

#[test]
fn reg_044_counted_in_several_ways() {
    on_duplicate(shared::counted_in_several_ways);
}

#[test]
fn reg_047_reserved_keys() {
    on_duplicate(|registry| async move {
        let wildcard = Key::Text("_");
        let keys = [
            wildcard.clone(),
            Key::Text("$1"),
            Key::Tuple(vec![wildcard.clone(), Key::Int(1)]),
            Key::Tuple(vec![Key::Tuple(vec![wildcard.clone()])]),
            Key::Map(vec![(Key::Text("a"), wildcard.clone())]),
        ];
        let larger = Key::Map(vec![(Key::Text("a"), wildcard.clone()), (Key::Text("b"), Key::Int(1))]);
        registry.register(larger.clone(), VALUE).unwrap();
        for key in &keys {
            registry.register(key.clone(), tuple(1, 1)).unwrap();
        }
        registry.register(wildcard.clone(), tuple(2, 2)).unwrap();
        for key in &keys {
            let entries = if *key == wildcard { 2 } else { 1 };
            assert_eq!(registry.lookup(key).len(), entries);
            assert_eq!(registry.matching(key, |_| true).len(), entries);
            assert_eq!(registry.count_match(key, |_| true), entries);
            registry.unregister_match(key, |value| *value == tuple(1, 1));
            assert_eq!(registry.lookup(key).len(), entries - 1);
            registry.unregister(key);
            assert_eq!(registry.lookup(key), []);
        }
        assert_eq!(registry.lookup(&larger), [(me(), VALUE)]);
        assert_eq!(registry.keys(me()), [larger]);
    });
}

#[test]
fn reg_048_reserved_keys_are_selected() {
    on_duplicate(|registry| async move {
        for key in [Key::Text("_"), Key::Text("$1"), HELLO] {
            registry.register(key, VALUE).unwrap();
        }
        for wanted in [Key::Text("_"), Key::Text("$1"), HELLO] {
            assert_eq!(registry.select(|key, pid, _| (*key == wanted).then_some(pid)), [me()]);
        }
    });
}

#[test]
fn reg_049_reserved_keys_are_counted() {
    on_duplicate(|registry| async move {
        for key in [Key::Text("_"), Key::Text("_"), Key::Text("$1"), HELLO] {
            registry.register(key, VALUE).unwrap();
        }
        let count = |wanted: Key| registry.count_select(|key, _, _| *key == wanted);
        assert_eq!((count(Key::Text("_")), count(Key::Text("$1")), count(HELLO)), (2, 1, 1));
    });
}
