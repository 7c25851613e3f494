//! What rustc says of the arms of `receive!`.

use ibeam::prelude::*;

struct Greet(String);

async fn misspelt() {
    receive! { Tikc => {} }
}

async fn wrong_fields() {
    receive! { Greet(first, second) => drop((first, second)) }
}

async fn not_a_time() {
    receive! { after 5 => {} }
}

async fn arms_of_two_types() -> u8 {
    receive! { Greet(_) => 1, _ => "two" }
}

fn not_async() {
    receive! { Greet(_) => {} }
}

fn main() {}
