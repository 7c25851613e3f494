//! One running `erl`, with the interpreters of `erlang/` in it.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Compiles the interpreters into the emulator's memory and starts the loop that reads programs.
const START: &str = "lists:foreach(fun(File) -> \
     {ok, Module, Binary} = compile:file(File, [binary, report]), \
     {module, Module} = code:load_binary(Module, File, Binary) \
 end, init:get_plain_arguments()), differential:main().";

const INTERPRETERS: [&str; 4] = ["differential", "processes", "servers", "supervisors"];

pub(crate) struct Erlang {
    child: Child,
    input: Option<BufWriter<ChildStdin>>,
    output: BufReader<ChildStdout>,
}

impl Erlang {
    /// `None`: there is no `erl` on this machine.
    pub(crate) fn start() -> Option<Self> {
        let files = INTERPRETERS
            .map(|module| format!("{}/tests/differential/erlang/{module}.erl", env!("CARGO_MANIFEST_DIR")));
        // With one scheduler signals are delivered, and processes end, in an order that the interpreters can rely on.
        let child = Command::new("erl")
            .args(["-noshell", "+S", "1:1", "+sbwt", "none", "-eval", START, "-extra"])
            .args(files)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => panic!("`erl` is there and does not start: {error}"),
        };
        let input = child.stdin.take().map(BufWriter::new);
        let output = BufReader::new(child.stdout.take().expect("the output is a pipe"));
        Some(Self { child, input, output })
    }

    /// Runs the programs in turn and returns what each did. `meanwhile` runs in this thread at the same time.
    pub(crate) fn run<T>(&mut self, programs: &[String], meanwhile: impl FnOnce() -> T) -> (Vec<String>, T) {
        let input = self.input.as_mut().expect("`erl` reads until this is dropped");
        std::thread::scope(|scope| {
            // `erl` stops reading while nobody takes what it writes, so writing to it must not hold up reading.
            scope.spawn(move || {
                for program in programs {
                    writeln!(input, "{program}").expect("`erl` reads");
                }
                input.flush().expect("`erl` reads");
            });
            let mine = meanwhile();
            let traces = programs.iter().map(|program| {
                let mut line = String::new();
                self.output.read_line(&mut line).expect("`erl` writes");
                assert!(!line.is_empty(), "`erl` has ended; its last program was {program}");
                line
            });
            (traces.collect(), mine)
        })
    }
}

impl Drop for Erlang {
    fn drop(&mut self) {
        // At the end of its input it ends.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
