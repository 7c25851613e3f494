//! What `receive!` refuses.

use ibeam::prelude::*;

struct Greet(String);
struct Tick;

async fn the_type_does_not_show() {
    receive! { [a, b] => drop((a, b)) }
}

async fn after_is_last() {
    receive! { after std::time::Duration::ZERO => {}, Tick => {} }
}

async fn never_reached() {
    receive! { message => drop(message), Tick => {} }
}

async fn guards_do_not_wait() {
    receive! { Greet(name) if process::info(name.parse().unwrap()).await.is_some() => {} }
}

async fn no_references() {
    receive! { Greet(ref name) => drop(name.len()) }
}

fn main() {}
