//! What Elixir's suite asks of registries with unique keys and again, in the same words, of those with duplicate keys.

use ibeam::prelude::*;
use ibeam::registry::Keys;

use super::{Float, HELLO, Int, Key, VALUE, Value, WORLD, map, sorted, tuple};

type Of<M> = Registry<Key, Value, M>;

fn me() -> Pid {
    process::self_pid()
}

pub(crate) async fn an_empty_registry_counts_0<M: Keys>(registry: Of<M>) {
    assert_eq!(registry.count(), 0);
}

pub(crate) async fn values_with_conditions_are_counted<M: Keys>(registry: Of<M>) {
    registry.register(HELLO, tuple(1, 2)).unwrap();
    assert_eq!(registry.count_match(&HELLO, |value| value.third() > 1), 1);
    assert_eq!(registry.count_match(&HELLO, |value| value.third() > 2), 0);
    assert_eq!(registry.count_match(&HELLO, Value::is_atom), 1);
}

pub(crate) async fn an_integer_and_a_float_are_two_keys<M: Keys>(registry: Of<M>) {
    registry.register(Key::Float(1.0_f64.to_bits()), VALUE).unwrap();
    registry.register(Key::Int(1), VALUE).unwrap();
    assert_eq!(registry.keys(me()).len(), 2);
    assert_eq!(registry.values(&Key::Int(1), me()), [VALUE]);
}

pub(crate) async fn unregister_without_entries<M: Keys>(registry: Of<M>) {
    registry.unregister(&HELLO);
    assert_eq!(registry.count(), 0);
}

pub(crate) async fn nothing_to_select<M: Keys>(registry: Of<M>) {
    assert_eq!(registry.select(|key, _, _| Some(key.clone())), []);
}

pub(crate) async fn selected_with_conditions<M: Keys>(registry: Of<M>) {
    registry.register(HELLO, tuple(1, 2)).unwrap();
    let above =
        |least| registry.select(|_, pid, value| (value.third() > least).then(|| (pid, value.clone())));
    assert_eq!(above(1), [(me(), tuple(1, 2))]);
    assert_eq!(above(2), []);
    assert_eq!(registry.select(|key, _, value| value.is_atom().then(|| key.clone())), [HELLO]);
}

pub(crate) async fn selected_in_several_ways<M: Keys>(registry: Of<M>) {
    registry.register(HELLO, VALUE).unwrap();
    registry.register(WORLD, VALUE).unwrap();
    let keys = registry.select(|key, _, _| matches!(*key, HELLO | WORLD).then(|| key.clone()));
    assert_eq!(sorted(keys), [HELLO, WORLD]);
}

pub(crate) async fn selected_ones_are_counted<M: Keys>(registry: Of<M>) {
    registry.register(HELLO, tuple(1, 1)).unwrap();
    registry.register(WORLD, map()).unwrap();
    assert_eq!(registry.count_select(|_, _, value| *value == tuple(1, 1)), 1);
    assert_eq!(registry.count_select(|key, _, _| *key == HELLO), 1);
    assert_eq!(registry.count_select(|_, _, value| value.is_first(Int(1))), 1);
    assert_eq!(registry.count_select(|_, _, value| value.is_first_the_third()), 1);
    assert_eq!(registry.count_select(|_, _, value| value.is_first(Float(1.0))), 0);
    assert_eq!(registry.count_select(|key, pid, _| *key == WORLD && pid == me()), 1);
}

pub(crate) async fn selected_ones_with_conditions_are_counted<M: Keys>(registry: Of<M>) {
    registry.register(HELLO, tuple(1, 2)).unwrap();
    assert_eq!(registry.count_select(|_, _, value| value.is_atom()), 1);
    assert_eq!(registry.count_select(|_, _, value| value.third() > 1), 1);
    assert_eq!(registry.count_select(|_, _, value| value.third() > 2), 0);
}

pub(crate) async fn counted_in_several_ways<M: Keys>(registry: Of<M>) {
    registry.register(HELLO, VALUE).unwrap();
    registry.register(WORLD, VALUE).unwrap();
    assert_eq!(registry.count_select(|key, _, _| matches!(*key, HELLO | WORLD)), 2);
}
