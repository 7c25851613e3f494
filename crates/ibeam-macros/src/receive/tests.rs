//! What `receive!` expands to and what it refuses. That expansions compile and run is tested in the `ibeam` crate.

use syn::{Block, Stmt};

use super::*;

/// The expansion, as text in the form that `quote` prints.
fn expanded(source: &str) -> String {
    expand(source.parse().unwrap()).unwrap_or_else(|error| panic!("`{source}`: {error}")).to_string()
}

/// Without the white space, so that code can be compared as it reads.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// The expansion of `source` holds all of `parts`, in this order.
#[track_caller]
fn check(source: &str, parts: &[&str]) {
    let text = expanded(source);
    syn::parse_str::<Block>(&text).expect("an expansion is a block");
    let text = squeezed(&text);
    let mut rest = text.as_str();
    for part in parts {
        let part = squeezed(part);
        let Some(found) = rest.find(&part) else { panic!("`{source}`: no {part} in the rest of {text}") };
        rest = &rest[found + part.len()..];
    }
}

#[track_caller]
fn check_not(source: &str, part: &str) {
    let text = squeezed(&expanded(source));
    assert!(!text.contains(&squeezed(part)), "`{source}`: {part} is in {text}");
}

/// `source` is refused with exactly these errors.
#[track_caller]
fn check_errors(source: &str, expected: &[&str]) {
    let Err(error) = expand(source.parse().unwrap()) else { panic!("`{source}` was accepted") };
    let errors: Vec<String> = error.into_iter().map(|error| error.to_string()).collect();
    assert_eq!(errors, expected, "`{source}`");
}

#[test]
fn the_whole_expansion() {
    let source = "since r; Greet(mut name) if name.is_empty() => drop(name), after time => late()";
    let expected = quote! {{
        enum __IbeamArm<A0,> { A0(A0), }
        let reference = r;
        let time = time;
        let received = ::ibeam::__private::receive_with(|candidate| {
            if let ::core::option::Option::Some(bound) = candidate.arm(|message| {
                match message {
                    Greet(name) if name.is_empty() => ::core::result::Result::Ok((name,)),
                    #[allow(unreachable_patterns)]
                    message => ::core::result::Result::Err(message),
                }
            }) {
                return ::core::option::Option::Some(__IbeamArm::A0(bound));
            }
            ::core::option::Option::None
        })
        .since(reference)
        .after(time)
        .await;
        match received {
            ::core::option::Option::Some(__IbeamArm::A0((mut name,))) => { let _ = &name; drop(name) },
            ::core::option::Option::None => late(),
        }
    }};
    assert_eq!(expanded(source), expected.to_string());
}

#[test]
fn bodies_stand_behind_the_await_in_the_surrounding_function() {
    let text = expanded("A(x) => first(x).await?, B => return, after t => break");
    let block: Block = syn::parse_str(&text).unwrap();
    let Some(Stmt::Expr(Expr::Match(last), None)) = block.stmts.last() else { panic!("{text}") };
    let bodies: Vec<String> = last.arms.iter().map(|arm| arm.body.to_token_stream().to_string()).collect();
    assert_eq!(bodies, ["first (x) . await ?", "return", "break"]);
    // In the scrutinee the waiting would be over, but what it borrowed would not be given back.
    assert!(matches!(&*last.expr, Expr::Path(_)));
}

#[test]
fn what_the_guard_looks_at_is_used() {
    check("A(x, y, z) if f(&[x]) && y => a()", &["A0((x, y, z,)) => { let _ = &x; let _ = &y; a() }"]);
    check("A(x) if x.0 => return, B(y) => y", &["{ let _ = &x; return }", "A1((y,)) => y"]);
}

#[test]
fn bindings_travel_as_a_tuple() {
    check("Tick => a()", &["Ok(())", "__IbeamArm::A0(()) => a()"]);
    check(
        "Point { x, y: mut z } => a()",
        &["Point { x, y: z } => ::core::result::Result::Ok((x, z,))", "__IbeamArm::A0((x, mut z,)) => a()"],
    );
    check("A(x) | B(x) => a()", &["A(x) | B(x) =>", "Ok((x,))", "A0((x,)) => a()"]);
}

#[test]
fn each_arm_has_its_own_variant() {
    check(
        "A(x) => a, B => b, c: u8 => c",
        &[
            "enum __IbeamArm<A0, A1, A2,> { A0(A0), A1(A1), A2(A2), }",
            "__IbeamArm::A0((x,)) => a",
            "__IbeamArm::A1(()) => b",
            "__IbeamArm::A2((c,)) => c",
        ],
    );
}

#[test]
fn names_without_a_type_take_every_message() {
    for any in ["message", "_", "(message)", "m @ _", "_ignored", "mut message"] {
        check(&format!("{any} => a"), &["candidate.any(|message|"]);
    }
    for typed in ["Tick", "LIMIT", "message: u8", "_: u8", "\"ping\"", "m @ Tick", "Greet(_)", "1 | 2"] {
        check(&format!("{typed} => a"), &["candidate.arm(|message"]);
    }
    check("(a, b): (u8, u8) => a", &["candidate.arm(|message: (u8, u8)|", "match message { (a, b) =>"]);
}

#[test]
fn an_upper_case_name_is_looked_up() {
    check("Tick => a", &["let _ = || Tick;"]);
    check_not("tick: Tick => a", "let _ = ||");
    check_not("Tick: Tick => a", "let _ = ||");
}

#[test]
fn commas_are_those_of_match() {
    for source in
        ["A => {} B => {}", "A => {}, B => {},", "A => if x {} else {} B => y", "A => match x {} B => y"]
    {
        check(source, &["__IbeamArm::A0", "__IbeamArm::A1(()) =>"]);
    }
    check_errors("A => a B => b", &["expected `,` to end the arm"]);
    check_errors("A => async {} B => b", &["expected `,` to end the arm"]);
}

#[test]
fn after_may_stand_alone() {
    check(
        "after time => late()",
        &[
            "enum __IbeamArm<> {}",
            "::core::option::Option::None::<__IbeamArm>",
            "match received { ::core::option::Option::None => late(), }",
        ],
    );
}

#[test]
fn the_clauses_are_told_from_patterns() {
    check("after::Elapsed(n) => n", &["match message { after::Elapsed(n) =>"]);
    check("since::Epoch => n", &["match message { since::Epoch =>"]);
    check("r#after: u8 => n", &["match message { r#after =>"]);
    check("A => a, after if x { y } else { z } => n", &["let time = if x { y } else { z };"]);
    check("since make(); A => a", &["let reference = make();", ".since(reference)"]);
    let other_name = "`after` begins a clause of `receive!`: give this binding another name";
    check_errors("after: u8 => a", &[other_name]);
    check_errors("after @ A => a", &[other_name]);
    check_errors("since => a", &["`since` begins a clause of `receive!`: give this binding another name"]);
    check_errors(
        "A => a, after => b",
        &["expected how long to wait, as in `after Duration::from_secs(5) => ..`"],
    );
}

#[test]
fn attributes_go_where_they_mean_something() {
    check(
        "#[cfg(x)] A => a, B => b",
        &[
            "enum __IbeamArm<#[cfg(x)] A0, A1,> { #[cfg(x)] A0(A0), A1(A1), }",
            "#[cfg(x)] if let",
            "#[cfg(x)] __IbeamArm::A0(()) => a",
        ],
    );
    check("#[allow(unused)] A(x) => a", &["#[allow(unused)] __IbeamArm::A0((x,)) => a"]);
    check_errors("A => a, #[cfg(x)] after t => b", &["`after` takes no attributes"]);
}

#[test]
fn clauses_have_their_place() {
    let needs_an_arm = "`receive!` needs an arm, as in `receive! { Greet(name) => .. }`";
    check_errors("", &[needs_an_arm]);
    check_errors("since r;", &[needs_an_arm]);
    check_errors("after t => a, B => b", &["`after` must be the last arm of `receive!`"]);
    check_errors("A => a, after t => b, after u => c", &["`after` must be the last arm of `receive!`"]);
    check_errors("A => a, since r;", &["`since` comes once, as the first line of `receive!`"]);
    check_errors("since r; since s; A => a", &["`since` comes once, as the first line of `receive!`"]);
    check_errors("since r, A => a", &["expected `;` to end `since reference;`"]);
    check_errors("since; A => a", &["expected a reference, as in `since reference;`"]);
    check_errors("A => a, after t if x => b", &["`after` takes no guard"]);
}

#[test]
fn a_pattern_must_show_its_type() {
    let hidden = "the type of this message does not show in the pattern: write `pattern: Type`";
    for source in ["[a, b] => a", "(a, b) => a", "(1, b) => a", "(..) => a", "x @ [a] => a", "&x => a"] {
        check_errors(source, &[hidden]);
        let typed = source.replace(" =>", ": Type =>");
        check(&typed, &["|message: Type|"]);
    }
    for source in ["() => a", "(1, A(b)) => a", "&1 => a", "Some(x) => a", "1..=2 => a", "x @ A => a"] {
        check(source, &["|message|"]);
    }
}

#[test]
fn an_arm_behind_one_that_takes_everything_is_refused() {
    check_errors(
        "A => a, message => b, C => c",
        &["this arm is never reached: `message` above takes every message"],
    );
    check_errors("_ => b, message => c", &["this arm is never reached: `_` above takes every message"]);
    check("message if x => b, C => c, _ => d, after t => e", &[]);
    check("#[cfg(x)] _ => b, C => c", &[]);
}

#[test]
fn a_guard_stays_in_the_closure() {
    let cannot_wait = "a guard cannot wait: it runs while the mailbox is looked through";
    check_errors("A if ready().await => a", &[cannot_wait]);
    check_errors("A if ready()? => a", &["a guard cannot return: use `?` in the arm's body"]);
    check_errors("A if { return; } => a", &["a guard cannot return: `return` from the arm's body"]);
    let no_let = "`if let` guards are not supported: match in the pattern or in the body";
    check_errors("A(x) if let Some(y) = x => a", &[no_let]);
    check_errors("A(x) if z && let Some(y) = x => a", &[no_let]);
    check("A if list.iter().any(|x| { return x.ok; }) => a", &[]);
    check("A if { if let Some(y) = z { y } else { false } } => a", &[]);
}

#[test]
fn errors_of_several_arms_come_together() {
    check_errors(
        "A(ref x) => a, [b] => b, C if d.await => c",
        &[
            "`ref` is not possible here: the message is handed over to the arm, so bind `x` by value and borrow it in the \
         body",
            "the type of this message does not show in the pattern: write `pattern: Type`",
            "a guard cannot wait: it runs while the mailbox is looked through",
        ],
    );
}
