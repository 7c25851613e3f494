//! `receive!` as users write it: each form of an arm, and what bodies and guards may do.

use std::time::Duration;

use ibeam::prelude::*;

/// Runs `test` as a process. The bound also checks that `receive!`'s futures are `Send`.
fn run<F>(test: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Runtime::builder().build().unwrap().block_on(test)
}

fn send<M: Send + 'static>(message: M) {
    process::self_pid().send(message);
}

#[derive(Debug, PartialEq)]
struct Greet(String);
#[derive(Debug, PartialEq)]
struct Tick;
#[derive(Debug, PartialEq)]
struct Point {
    x: i32,
    y: i32,
}
#[derive(Debug, PartialEq)]
enum Command {
    Get(String),
    Put { key: String, value: u8 },
    Stop,
}
struct Wrapper<T>(T);
#[derive(Debug)]
struct NoClone(#[allow(dead_code)] Box<u8>);
const LIMIT: u64 = 100;

#[test]
fn an_arm_takes_the_type_of_its_pattern() {
    async fn next() -> String {
        receive! {
            Greet(name) => name,
            Point { x, y: 0 } => format!("x {x}"),
            Point { x: 0, y } => format!("y {y}"),
            Tick => "tick".to_owned(),
            Command::Get(key) => format!("get {key}"),
            Command::Put { key, value } => format!("put {key} {value}"),
            Command::Stop => "stop".to_owned(),
            LIMIT => "limit".to_owned(),
            "ping" => "pong".to_owned(),
            'a'..='z' => "letter".to_owned(),
            1..=9 => "digit".to_owned(),
            () => "unit".to_owned(),
        }
    }
    run(async {
        send(Greet("joe".into()));
        send(Point { x: 3, y: 0 });
        send(Point { x: 0, y: 4 });
        send(Tick);
        send(Command::Get("k".into()));
        send(Command::Put { key: "k".into(), value: 1 });
        send(Command::Stop);
        send(LIMIT);
        send("ping");
        send('q');
        send(5);
        send(());
        let expected = [
            "joe", "x 3", "y 4", "tick", "get k", "put k 1", "stop", "limit", "pong", "letter", "digit",
            "unit",
        ];
        for text in expected {
            assert_eq!(next().await, text);
        }
    });
}

#[test]
fn a_typed_arm_takes_any_pattern_of_its_type() {
    run(async {
        send(7_u64);
        send(Some(3_u8));
        send([1_u16, 2, 3]);
        send((1_u8, "two"));
        send(Wrapper(vec![1, 2]));
        send(Tick);
        assert_eq!(receive! { n: u64 => n }, 7);
        assert_eq!(receive! { Some(n): Option<u8> => n }, 3);
        assert_eq!(receive! { [first, rest @ ..]: [u16; 3] => (first, rest) }, (1, [2, 3]));
        assert_eq!(receive! { (n, text): (u8, &'static str) => (n, text) }, (1, "two"));
        assert_eq!(receive! { Wrapper(list): Wrapper<Vec<i32>> => list.len() }, 2);
        receive! { _: Tick => {} }
    });
}

#[test]
fn what_no_arm_takes_stays_in_its_order() {
    run(async {
        send(1_u8);
        send(Greet("a".into()));
        send(2_u8);
        send(Tick);
        receive! { Tick => {} }
        assert_eq!(receive! { Greet(name) => name }, "a");
        assert_eq!(receive! { n: u8 => n }, 1);
        assert_eq!(receive! { n: u8 => n }, 2);
        receive! {
            message => panic!("left over: {}", message.type_name()),
            after Duration::ZERO => {}
        }
    });
}

#[test]
fn a_name_takes_every_message() {
    run(async {
        send(Tick);
        send(Greet("joe".into()));
        send(3_u8);
        let first = receive! { message => message };
        assert!(first.is::<Tick>());
        let text = receive! {
            Tick => String::new(),
            message if message.is::<Greet>() => message.downcast::<Greet>().unwrap().0,
        };
        assert_eq!(text, "joe");
        assert!(receive! { _ => true });
    });
}

#[test]
fn a_guard_that_fails_leaves_the_message() {
    run(async {
        send(3_u64);
        send(9_u64);
        send(Greet("ann".into()));
        send(Greet("joe".into()));
        assert_eq!(receive! { n: u64 if n > 5 => n }, 9);
        assert_eq!(receive! { Greet(name) if name.starts_with('j') => name }, "joe");
        assert_eq!(receive! { Greet(name) => name, }, "ann");
        assert_eq!(receive! { n: u64 => n }, 3);
    });
}

#[test]
fn a_guard_may_use_the_functions_variables() {
    run(async {
        let limit = 5;
        let names = ["joe".to_owned()];
        let mut looked_at = Vec::new();
        for n in [9_u64, 2, 1] {
            send(n);
        }
        let n = receive! {
            Greet(name) if names.contains(&name) => panic!("{name}"),
            n: u64 if { looked_at.push(n); n < limit } => n,
        };
        assert_eq!(n, 2);
        assert_eq!(looked_at, [9, 2]);
        assert_eq!(names.len(), 1);
    });
}

#[test]
fn a_body_may_change_what_its_guard_looked_at() {
    run(async {
        let mut seen = vec![1_u8];
        send(1_u8);
        send(2_u8);
        receive! { n: u8 if !seen.contains(&n) => seen.push(n) }
        assert_eq!(seen, [1, 2]);
    });
}

#[test]
fn bodies_belong_to_the_surrounding_function() {
    async fn total(mut count: u32) -> Result<u32, std::num::ParseIntError> {
        let mut total = 0;
        loop {
            receive! {
                Greet(text) => total += text.parse::<u32>()?,
                Tick => {
                    std::future::ready(()).await;
                    count -= 1;
                    if count > 0 {
                        continue;
                    }
                    break;
                }
                Command::Stop => return Ok(u32::MAX),
            }
        }
        Ok(total)
    }
    run(async {
        send(Greet("2".into()));
        send(Tick);
        send(Greet("40".into()));
        send(Tick);
        assert_eq!(total(2).await, Ok(42));
        send(Command::Stop);
        assert_eq!(total(1).await, Ok(u32::MAX));
        send(Greet("x".into()));
        assert!(total(1).await.is_err());
    });
}

#[test]
fn bindings_of_every_kind_reach_the_body() {
    run(async {
        send(Point { x: 1, y: 2 });
        send(Point { x: 7, y: 9 });
        send(5_u8);
        send(Wrapper((Some(NoClone(Box::new(1))), 'c')));
        send(Command::Get("a".into()));
        send(Greet("x".into()));
        let sum = receive! {
            Point { x, mut y } => {
                y += 10;
                x + y
            }
        };
        assert_eq!(sum, 13);
        assert_eq!(receive! { whole @ Point { x: 7, .. } => whole }, Point { x: 7, y: 9 });
        assert_eq!(receive! { n @ (1 | 5): u8 => n }, 5);
        let (inner, letter) = receive! {
            Wrapper((Some(inner), letter)): Wrapper<(Option<NoClone>, char)> => (inner, letter),
        };
        drop::<NoClone>(inner);
        assert_eq!(letter, 'c');
        let text = receive! { Command::Get(text) | Command::Put { key: text, .. } => text };
        assert_eq!(text, "a");
        receive! { Greet(_unused) => {} }
    });
}

#[test]
fn after_runs_when_the_time_is_up() {
    run(async {
        let forever = Timeout::Infinity;
        let late = receive! { Tick => false, after Duration::ZERO => true };
        assert!(late);
        send(Tick);
        let late = receive! { Tick => false, after forever => true };
        assert!(!late);
        let value = receive! { after Duration::ZERO => 5 };
        assert_eq!(value, 5);
        receive! { after if late { Duration::MAX } else { Duration::ZERO } => {} }
    });
}

#[test]
fn the_time_is_not_borrowed_while_waiting() {
    // A `MutexGuard` is not `Send`: were it kept over the await, `run` would not compile.
    let time = std::sync::Mutex::new(Duration::ZERO);
    run(async move {
        receive! { Tick => {}, after *time.lock().unwrap() => {} }
        assert!(time.try_lock().is_ok());
    });
}

#[test]
fn since_skips_what_was_there_before() {
    run(async {
        send(1_u8);
        let reference = process::make_ref();
        send(2_u8);
        assert_eq!(receive! { since reference; n: u8 => n, }, 2);
        receive! {
            since reference;
            n: u8 => panic!("{n}"),
            after Duration::ZERO => {}
        }
        assert_eq!(receive! { n: u8 => n }, 1);
    });
}

#[test]
fn receives_nest_in_bodies() {
    run(async {
        send(Tick);
        send(4_u8);
        let n = receive! {
            Tick => receive! { n: u8 => n, after Duration::ZERO => 0 },
            after Duration::ZERO => 1,
        };
        assert_eq!(n, 4);
    });
}

#[test]
fn attributes_may_stand_before_arms() {
    run(async {
        send(2_u8);
        send(Tick);
        let n = receive! {
            #[cfg(not(test))]
            NoSuchType(n) => n,
            #[cfg(test)]
            n: u8 => n,
            #[allow(unused_variables)]
            other: u16 => 0,
        };
        assert_eq!(n, 2);
        receive! {
            #[cfg(not(test))]
            message => drop(message),
            Tick => {}
        }
    });
}

#[test]
fn a_macro_may_write_the_receive() {
    macro_rules! expect {
        ($pattern:pat, $value:expr) => {
            receive! { $pattern => $value, after Duration::ZERO => panic!("not there") }
        };
    }
    macro_rules! typed {
        ($name:ident : $type:ty) => {
            receive! { $name: $type => $name }
        };
    }
    run(async {
        send(Greet("joe".into()));
        send(7_u8);
        assert_eq!(expect!(Greet(name), name), "joe");
        assert_eq!(typed!(n: u8), 7);
    });
}

mod after {
    pub(super) struct Elapsed(pub(super) u8);
}

#[test]
fn a_path_may_begin_with_a_word_of_the_macro() {
    run(async {
        send(after::Elapsed(3));
        assert_eq!(receive! { after::Elapsed(n) => n }, 3);
    });
}

#[test]
#[deny(unused_variables)]
fn a_binding_that_only_the_guard_looks_at_is_used() {
    run(async {
        send(Point { x: 1, y: 2 });
        send(Point { x: 3, y: 4 });
        assert_eq!(receive! { Point { x: wanted, y } if wanted == 3 => y }, 4);
    });
}
