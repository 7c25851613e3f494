//! What `#[ibeam::main]` refuses.

#[ibeam::main]
fn not_async() {}

#[ibeam::main]
async fn with_arguments(_first: u8) {}

#[ibeam::main(threads = 2)]
async fn unknown_option() {}

#[ibeam::main]
async fn main() -> u8 {
    1
}
