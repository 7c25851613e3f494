//! Programs of one kind, run on both sides, compared, and made smaller when they differ.
//!
//! `IBEAM_PROGRAMS=n` sets how many programs of each kind are run, `IBEAM_PROGRAM=n` runs only that one. Each runs once in
//! Erlang and with [`SEEDS`] seeds here.

use std::fmt;
use std::sync::Once;

use tracing_subscriber::prelude::*;

use crate::erlang::Erlang;
use crate::random::Random;

/// Schedules per program. More programs find more than more schedules of one.
const SEEDS: u64 = 3;
/// How often Erlang has to do otherwise. Its shortest timeouts are 2 ms: a busy machine that holds it up for longer makes it do
/// what it does not do again.
const TIMES: usize = 10;
/// Programs that are in Erlang's pipe at once.
const BATCH: u64 = 50;

/// A kind of programs. Displayed, one is the Erlang term that its interpreter reads.
pub(crate) trait Program: Clone + fmt::Display {
    /// The Erlang module that runs it.
    const INTERPRETER: &'static str;

    fn generate(random: &mut Random) -> Self;

    /// Runs it here, in the simulation with this seed.
    fn run(&self, seed: u64) -> String;

    /// What both sides must agree on, out of what one of them wrote: without the orders that nothing promises.
    fn canonical(trace: &str) -> Vec<String>;

    /// Programs with a little less in them, whose outcome is as determined as this one's.
    fn smaller(&self) -> Vec<Self>;
}

/// Runs programs until two traces differ. `few`: how many, where nothing else is said.
#[track_caller]
pub(crate) fn agrees_with_erlang<P: Program>(few: u64) {
    listen_to_crashes();
    let Some(mut erlang) = Erlang::start() else {
        return skipped(P::INTERPRETER);
    };
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let numbers = match number("IBEAM_PROGRAM") {
        Some(only) => only..only + 1,
        None => 0..number("IBEAM_PROGRAMS").unwrap_or(few),
    };
    let mut first = numbers.start;
    while first < numbers.end {
        let batch: Vec<(u64, P)> = (first..numbers.end.min(first + BATCH))
            .map(|number| (number, P::generate(&mut Random::new(number))))
            .collect();
        first += BATCH;
        let texts: Vec<String> = batch.iter().map(|(_, program)| term(program)).collect();
        let (theirs, ours) =
            erlang.run(&texts, || batch.iter().map(|(_, program)| runs(program)).collect::<Vec<_>>());
        for (((number, program), theirs), ours) in batch.iter().zip(&theirs).zip(&ours) {
            if difference::<P>(theirs, ours).is_some()
                && let Some(difference) = differs(&mut erlang, program)
            {
                report(&mut erlang, *number, program, difference);
            }
        }
    }
}

fn term<P: Program>(program: &P) -> String {
    format!("{{{}, {program}}}.", P::INTERPRETER)
}

fn runs<P: Program>(program: &P) -> Vec<(u64, String)> {
    (0..SEEDS).map(|seed| (seed, program.run(seed))).collect()
}

/// What Erlang did, and what the first seed with which it came out otherwise did.
struct Difference {
    seed: u64,
    theirs: Vec<String>,
    ours: Vec<String>,
}

fn difference<P: Program>(theirs: &str, ours: &[(u64, String)]) -> Option<Difference> {
    let theirs = P::canonical(theirs);
    ours.iter().find_map(|(seed, ours)| {
        let ours = P::canonical(ours);
        (ours != theirs).then(|| Difference { seed: *seed, theirs: theirs.clone(), ours })
    })
}

/// What Erlang does each time it runs the program, and ibeam does not.
fn differs<P: Program>(erlang: &mut Erlang, program: &P) -> Option<Difference> {
    let ours = runs(program);
    let mut found = None;
    for _ in 0..TIMES {
        let (theirs, ()) = erlang.run(&[term(program)], || ());
        found = Some(difference::<P>(&theirs[0], &ours)?);
    }
    found
}

/// Takes out what is not needed for the difference, as long as there is something.
fn shrink<P: Program>(erlang: &mut Erlang, mut program: P, mut difference: Difference) -> (P, Difference) {
    'smaller: loop {
        for smaller in program.smaller() {
            if let Some(found) = differs(erlang, &smaller) {
                (program, difference) = (smaller, found);
                continue 'smaller;
            }
        }
        return (program, difference);
    }
}

#[track_caller]
fn report<P: Program>(erlang: &mut Erlang, number: u64, program: &P, difference: Difference) -> ! {
    let (smallest, difference) = shrink(erlang, program.clone(), difference);
    let Difference { seed, theirs, ours } = difference;
    let only = |these: &[String], those: &[String]| {
        let mut only: Vec<&str> =
            these.iter().filter(|word| !those.contains(word)).map(String::as_str).collect();
        if only.is_empty() {
            only.push("nothing else");
        }
        only.join("\n    ")
    };
    panic!(
        "{kind}, IBEAM_PROGRAM={number}, seed {seed}: ibeam differs from Erlang.\n\
         the smallest program that does:\n    {smallest}\n\
         only in Erlang:\n    {}\nonly in ibeam:\n    {}\nthe whole trace of Erlang:\n    {}\nof ibeam:\n    {}",
        only(&theirs, &ours),
        only(&ours, &theirs),
        theirs.join(" "),
        ours.join(" "),
        kind = P::INTERPRETER,
    );
}

#[expect(clippy::print_stderr, reason = "a test that checks nothing must not look like one that passed")]
fn skipped(kind: &str) {
    eprintln!("SKIPPED: differential run of {kind}: there is no `erl` on this machine (Debian: erlang-base)");
}

/// Programs crash on purpose. With a subscriber their reports go to it, and not to standard error.
fn listen_to_crashes() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::registry().init());
}
