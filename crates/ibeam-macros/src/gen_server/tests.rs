//! What `#[gen_server]` expands to and what it refuses. That expansions compile and run is tested in the `ibeam` crate.

use quote::ToTokens;
use syn::{File, ImplItem, Item, ItemImpl, ItemTrait};

use super::*;

const INIT: &str = "fn init() -> Init<Self> { Init::ok(S) }";

/// The items that a block with these options expands to.
#[track_caller]
fn items(options: &str, block: &str) -> Vec<Item> {
    let text = expand(options.parse().unwrap(), block.parse().unwrap()).to_string();
    let file: File = syn::parse_str(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
    file.items
}

/// `impl S` with `init` and these functions.
fn server(functions: &str) -> Vec<Item> {
    items("", &format!("impl S {{ {INIT} {functions} }}"))
}

fn text(tokens: impl ToTokens) -> String {
    squeezed(&tokens.to_token_stream().to_string())
}

/// Without the white space, so that code can be compared as it reads.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

#[track_caller]
fn check_holds(tokens: impl ToTokens, part: &str) {
    let text = text(tokens);
    assert!(text.contains(&squeezed(part)), "no {part} in {text}");
}

#[track_caller]
fn check_lacks(tokens: impl ToTokens, part: &str) {
    let text = text(tokens);
    assert!(!text.contains(&squeezed(part)), "{part} is in {text}");
}

/// The impl of the trait with this last name.
#[track_caller]
fn implementation<'a>(items: &'a [Item], of: &str) -> &'a ItemImpl {
    let found = items.iter().find_map(|item| match item {
        Item::Impl(block) => {
            let path = &block.trait_.as_ref()?.0;
            (path.segments.last()?.ident == of).then_some(block)
        }
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no impl of {of}"))
}

/// The inherent impls: the user's, and the one with the start functions.
fn inherent(items: &[Item]) -> Vec<&ItemImpl> {
    items
        .iter()
        .filter_map(|item| match item {
            Item::Impl(block) if block.trait_.is_none() => Some(block),
            _ => None,
        })
        .collect()
}

fn client(items: &[Item]) -> Option<&ItemTrait> {
    items.iter().find_map(|item| match item {
        Item::Trait(found) => Some(found),
        _ => None,
    })
}

#[track_caller]
fn method(block: &ItemImpl, name: &str) -> String {
    let found = block.items.iter().find_map(|item| match item {
        ImplItem::Fn(function) if function.sig.ident == name => Some(text(function)),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no fn {name}"))
}

/// The block is refused with exactly these errors, which stand beside the block without its marks.
#[track_caller]
fn check_block_errors(options: &str, block: &str, expected: &[&str]) {
    let items = items(options, block);
    let errors: Vec<String> = items
        .iter()
        .filter_map(|item| match item {
            Item::Macro(found) => {
                assert_eq!(text(&found.mac.path), "::core::compile_error");
                Some(syn::parse2::<syn::LitStr>(found.mac.tokens.clone()).unwrap().value())
            }
            _ => None,
        })
        .collect();
    assert_eq!(errors, expected, "{block}");
    assert_eq!(items.len(), errors.len() + 1, "besides the errors there is the block alone");
    for mark in ["#[call]", "#[cast]", "#[info]"] {
        check_lacks(&items[0], mark);
    }
}

/// The same for `impl S` with `init` and these functions.
#[track_caller]
fn check_errors(functions: &str, expected: &[&str]) {
    check_block_errors("", &format!("impl S {{ {INIT} {functions} }}"), expected);
}

#[test]
fn the_block_stays_but_for_its_marks() {
    let items =
        server("/// Docs. \n #[call] #[inline] fn get(&self) -> u8 { 1 } fn helper() {} const N: u8 = 1;");
    let block = inherent(&items)[0];
    check_holds(block, r#"#[doc = " Docs. "] #[inline]"#);
    check_holds(block, "fn get(&self) -> u8 { 1 } fn helper() {} const N: u8 = 1;");
    check_lacks(block, "#[call]");
}

#[test]
fn inits_arguments_are_those_of_start() {
    let none = items("", "impl S { async fn init() -> Init<Self> { s() } }");
    let gen_server = implementation(&none, "GenServer");
    check_holds(gen_server, "type Args = ();");
    check_holds(gen_server, "{ let () = args; Self::init().await }");
    check_holds(
        inherent(&none)[1],
        "pub fn start() -> ::ibeam::Start<Self> { ::ibeam::__private::start::<Self>(()) }",
    );

    let one = items("", "impl S { fn init(mut n: u8) -> Init<Self> { s() } }");
    let gen_server = implementation(&one, "GenServer");
    check_holds(gen_server, "type Args = u8;");
    check_holds(gen_server, "{ let arg0 = args; Self::init(arg0) }");
    check_holds(
        inherent(&one)[1],
        "pub fn start_link(n: u8) -> ::ibeam::Start<Self> { ::ibeam::__private::start_link::<Self>(n) }",
    );

    let two = items("", "impl S { async fn init(a: u8, (b, c): (u8, Box<Self>)) -> Init<Self> { s() } }");
    let gen_server = implementation(&two, "GenServer");
    check_holds(gen_server, "type Args = (u8, (u8, Box<S>));");
    check_holds(gen_server, "{ let (arg0, arg1) = args; Self::init(arg0, arg1).await }");
    check_holds(inherent(&two)[1], "start::<Self>((a, arg1))");
}

#[test]
fn a_written_start_is_not_generated() {
    let one = server("fn start(n: u8) {}");
    check_lacks(inherent(&one)[1], "fn start(");
    check_holds(inherent(&one)[1], "fn start_link(");
    let both = server("fn start(n: u8) {} fn start_link() {}");
    assert_eq!(inherent(&both).len(), 1);
}

#[test]
fn a_call_with_a_value_is_answered_in_dispatch() {
    let items = server("#[call] async fn add(&mut self, by: i64, to: String) -> i64 { 1 }");
    let gen_server = implementation(&items, "GenServer");
    let dispatch = method(gen_server, "dispatch");
    for part in [
        "::ibeam::__private::take_call::<Self, __S_add>(message)",
        "Ok((__S_add(found0, found1,), found2)) => { arg0 = found0; arg1 = found1; from = found2; }",
        "return { let reply = Self::add(self, arg0, arg1).await; from.reply(reply); ::ibeam::Next::go_on() };",
    ] {
        assert!(dispatch.contains(&squeezed(part)), "no {part} in {dispatch}");
    }
    let call = implementation(&items, "HandleCall");
    check_holds(call, "impl ::ibeam::HandleCall<__S_add> for S { type Reply = i64;");
    check_holds(call, "::ibeam::Reply::now(Self::add(self, arg0, arg1).await)");
}

#[test]
fn other_calls_say_whether_there_is_a_reply() {
    let by_the_trait = "let key = ::ibeam::CallFrom::key(&from); \
         let reply = <Self as ::ibeam::HandleCall<__S_add> >::handle_call(self, request, from).await; \
         ::ibeam::__private::reply_by_key(key, reply)";
    for (function, answer) in [
        ("#[call] fn add(&mut self, by: i64, from: CallFrom<u8>) -> Reply<u8> { r() }", by_the_trait),
        ("#[call] fn add(&mut self, from: ibeam::CallFrom<u8>, by: i64) -> u8 { r() }", by_the_trait),
        (
            "#[call] async fn add(&mut self, by: i64) -> ibeam::Reply<u8> { r() }",
            "let reply = Self::add(self, arg0).await; ::ibeam::__private::reply_to(from, reply)",
        ),
    ] {
        let items = server(function);
        check_holds(implementation(&items, "GenServer"), &format!("return {{ {answer} }};"));
        check_holds(implementation(&items, "HandleCall"), "type Reply = u8;");
    }
}

#[test]
fn the_caller_keeps_its_place_among_the_arguments() {
    let items =
        server("#[call] async fn add(&mut self, a: u8, from: CallFrom<u8>, b: u8) -> Reply<u8> { r() }");
    check_holds(
        implementation(&items, "HandleCall"),
        "{ let __S_add(arg0, arg1,) = request; Self::add(self, arg0, from, arg1).await }",
    );
    check_holds(client(&items), "fn add(&self, a: u8, b: u8) -> ::ibeam::Call<S, __S_add>;");
}

#[test]
fn a_call_without_a_value_replies_with_unit() {
    for returns in ["", "-> ()"] {
        let items = server(&format!("#[call] fn touch(&mut self) {returns} {{}}"));
        check_holds(implementation(&items, "HandleCall"), "type Reply = ();");
    }
}

#[test]
fn reply_without_an_argument_is_the_users_own_type() {
    let items = server("#[call] fn get(&mut self) -> resp::Reply { r() }");
    check_holds(implementation(&items, "HandleCall"), "type Reply = resp::Reply;");
}

#[test]
fn casts_and_infos_go_on_unless_they_say_next() {
    let items = server(
        "#[cast] async fn reset(&mut self, to: u8) {} #[cast] fn stop(&mut self) -> Next { n() } \
         #[info] async fn tick(&mut self, _: Tick) {} #[info] fn tock(&mut self, t: a::Tock) -> ibeam::Next { n() }",
    );
    let dispatch = method(implementation(&items, "GenServer"), "dispatch");
    let parts = [
        "::ibeam::__private::take_cast::<Self, __S_reset>(message)",
        "Ok(__S_reset(found0,)) => { arg0 = found0; }",
        "return { Self::reset(self, arg0).await; ::ibeam::Next::go_on() };",
        "::ibeam::__private::take_cast::<Self, __S_stop>(message)",
        "Ok(__S_stop()) => {}",
        "return { Self::stop(self,) };",
        "::ibeam::Message::downcast::<Tick>(message)",
        "return { Self::tick(self, info).await; ::ibeam::Next::go_on() };",
        "::ibeam::Message::downcast::<a::Tock>(message)",
        "return { Self::tock(self, info) };",
        "::ibeam::__private::dispatch_other(self, message).await",
    ];
    let mut rest = dispatch.as_str();
    for part in parts {
        let part = squeezed(part);
        let found = rest.find(&part).unwrap_or_else(|| panic!("no {part} in the rest of {dispatch}"));
        rest = &rest[found + part.len()..];
    }
    check_holds(implementation(&items, "HandleCast"), "impl ::ibeam::HandleCast<__S_reset> for S");
    check_holds(implementation(&items, "HandleInfo"), "impl ::ibeam::HandleInfo<Tick> for S");
}

#[test]
fn callbacks_are_handed_over() {
    let items = server(
        "async fn terminate(&mut self, reason: &ExitReason) {} fn handle_timeout(&mut self) {} \
         async fn handle_continue(&mut self, step: Continue) -> Next { n() } fn handle_info(&mut self, m: Message) {}",
    );
    let gen_server = implementation(&items, "GenServer");
    check_holds(
        gen_server,
        "async fn terminate(&mut self, reason: &::ibeam::ExitReason) { Self::terminate(self, reason).await; }",
    );
    check_holds(
        gen_server,
        "async fn handle_timeout(&mut self) -> ::ibeam::Next { Self::handle_timeout(self); ::ibeam::Next::go_on() }",
    );
    check_holds(
        gen_server,
        "async fn handle_continue(&mut self, step: ::ibeam::Continue) -> ::ibeam::Next { \
         Self::handle_continue(self, step).await }",
    );
    check_holds(gen_server, "async fn handle_info(&mut self, message: ::ibeam::Message) -> ::ibeam::Next");
    let without = server("");
    assert_eq!(implementation(&without, "GenServer").items.len(), 3, "Args, init and dispatch");
}

#[test]
fn the_client_has_a_method_per_request() {
    let items = server(
        "/// Adds. \n #[deprecated] #[inline] #[call] fn add(&mut self, mut by: i64, _: u8) -> i64 { 1 } \
         #[cast] fn reset(&mut self) {} #[info] fn tick(&mut self, _: Tick) {}",
    );
    let found = client(&items).unwrap();
    assert_eq!(found.ident, "SClient");
    assert_eq!(found.items.len(), 2);
    check_holds(
        found,
        r#"#[doc = " Adds. "] #[deprecated] fn add(&self, by: i64, arg1: u8) -> ::ibeam::Call<S, __S_add>;"#,
    );
    check_holds(found, r#"#[doc = "Casts to `S::reset`."] fn reset(&self,);"#);
    let methods = implementation(&items, "SClient");
    check_holds(methods, "impl SClient for ::ibeam::ServerRef<S>");
    check_holds(methods, "{ ::ibeam::ServerRef::call(self, __S_add(by, arg1,)) }");
    check_holds(methods, "{ ::ibeam::ServerRef::cast(self, __S_reset()); }");
}

#[test]
fn the_clients_name_and_visibility_are_options() {
    let block = format!("impl S {{ {INIT} #[cast] fn a(&mut self) {{}} }}");
    check_holds(client(&items("", &block)), "pub trait SClient");
    check_holds(client(&items("client = Api", &block)), "pub trait Api");
    let restricted = items("client = pub(crate) Api,", &block);
    check_holds(client(&restricted), "pub(crate) trait Api");
    check_holds(inherent(&restricted)[1], "pub(crate) fn start()");
    assert!(restricted.iter().any(|item| text(item).contains("pub(crate)struct__S_a();")));
}

#[test]
fn without_requests_there_is_no_client_unless_named() {
    assert!(client(&server("")).is_none());
    assert!(client(&items("client = Api", &format!("impl S {{ {INIT} }}"))).is_some());
}

#[test]
fn parameters_go_to_every_item() {
    let items = items(
        "",
        "impl<K: Hash, const N: usize> Cache<K, N> where K: Clone { \
         fn init() -> Init<Self> { s() } #[call] fn get(&mut self, key: K, other: Vec<Self>) -> Self::Value { v() } }",
    );
    let request = items.iter().find(|item| matches!(item, Item::Struct(_))).unwrap();
    check_holds(
        request,
        "pub struct __Cache_get<K: Hash, const N: usize>\
         (K, Vec<Cache<K, N> >, ::core::marker::PhantomData<fn() -> Cache<K, N> >) where K: Clone;",
    );
    let gen_server = implementation(&items, "GenServer");
    check_holds(gen_server, "take_call::<Self, __Cache_get<K, N> >(message)");
    check_holds(gen_server, "Ok((__Cache_get(found0, found1, ..), found2)) => {");
    let call = implementation(&items, "HandleCall");
    check_holds(
        call,
        "impl<K: Hash, const N: usize> ::ibeam::HandleCall<__Cache_get<K, N> > for Cache<K, N> where K: Clone",
    );
    check_holds(call, "type Reply = <Cache<K, N> >::Value;");
    check_holds(client(&items), "pub trait CacheClient<K: Hash, const N: usize> where K: Clone");
    check_holds(
        implementation(&items, "CacheClient"),
        "impl<K: Hash, const N: usize> CacheClient<K, N> for ::ibeam::ServerRef<Cache<K, N> > where K: Clone",
    );
    check_holds(
        implementation(&items, "CacheClient"),
        "__Cache_get(key, other, ::core::marker::PhantomData)",
    );
}

#[test]
fn cfg_goes_wherever_the_function_goes() {
    let callback = server("#[cfg(x)] fn handle_timeout(&mut self) {}");
    check_holds(implementation(&callback, "GenServer"), "#[cfg(x)] async fn handle_timeout(");
    check_block_errors(
        "",
        "impl S { #[cfg(x)] fn init() -> Init<Self> { s() } }",
        &["`init` is always there: put the `#[cfg]` inside of it or on the whole block"],
    );
    let items = server("#[cfg(x)] #[call] fn a(&mut self) {} #[cfg(y)] #[info] fn b(&mut self, _: u8) {}");
    let request = items.iter().find(|item| matches!(item, Item::Struct(_))).unwrap();
    check_holds(request, "#[cfg(x)]");
    check_holds(implementation(&items, "HandleCall"), "#[cfg(x)]");
    check_holds(implementation(&items, "HandleInfo"), "#[cfg(y)]");
    check_holds(implementation(&items, "GenServer"), "#[cfg(x)] let message =");
    check_holds(implementation(&items, "GenServer"), "#[cfg(y)] let message =");
    check_holds(client(&items), "#[cfg(x)]");
    check_holds(implementation(&items, "SClient"), "#[cfg(x)]");
}

#[test]
fn marks_may_have_ibeams_path() {
    let items = server("#[ibeam::cast] fn a(&mut self) {} #[other::cast] fn b(&mut self) {}");
    assert_eq!(client(&items).unwrap().items.len(), 1);
    check_holds(inherent(&items)[0], "#[other::cast]");
}

#[test]
fn raw_names_lose_their_mark_in_type_names_only() {
    let items = server("#[cast] fn r#type(&mut self, r#in: u8) {}");
    check_holds(client(&items), "fn r#type(&self, r#in: u8);");
    assert!(items.iter().any(|item| text(item).contains("struct__S_type(u8,);")));
}

#[test]
fn the_block_must_be_a_types_own() {
    check_block_errors(
        "",
        "impl Trait for S {}",
        &["`#[gen_server]` stands on the type's own impl block, not on that of a trait"],
    );
    check_block_errors("", "impl [u8] {}", &["a server is a struct or an enum of your own"]);
    check_block_errors("", "struct S;", &["`#[gen_server]` stands on an impl block: expected `impl`"]);
    check_block_errors(
        "",
        "impl S {}",
        &["a server needs `async fn init(..) -> Init<Self>`, which makes its state"],
    );
    check_block_errors(
        "",
        &format!("impl<'a> S<'a> {{ {INIT} }}"),
        &[
            "a server outlives the function that starts it, so it cannot borrow: own the data or share it with an `Arc`",
        ],
    );
}

#[test]
fn unknown_options_are_refused() {
    let block = format!("impl S {{ {INIT} }}");
    check_block_errors("name = X", &block, &["unknown option `name`: there is `client = Name`"]);
    check_block_errors("client = A, client = B", &block, &["`client` is given twice"]);
}

#[test]
fn init_makes_the_state() {
    check_block_errors(
        "",
        "impl S { fn init(&mut self) -> Init<Self> { s() } }",
        &["`init` makes the state: there is no `self` yet"],
    );
    check_block_errors(
        "",
        "impl S { async fn init(n: u8) {} }",
        &["`init` returns `Init<Self>`: `Init::ok(state)`, or why the server does not start"],
    );
    check_block_errors(
        "",
        "impl S { async fn init(name: &str) -> Init<Self> { s() } }",
        &[BORROWED_ARGUMENT],
    );
}

#[test]
fn the_state_stays_with_the_server() {
    for receiver in ["self", "mut self", "self: Box<Self>"] {
        check_errors(
            &format!("#[call] fn a({receiver}) {{}}"),
            &["the state stays with the server: a `#[call]` takes `&mut self`"],
        );
    }
    check_errors("#[cast] fn a(n: u8) {}", &["a `#[cast]` takes `&mut self`"]);
    check_errors(
        "#[info] fn a() {}",
        &[
            "an `#[info]` takes `&mut self`",
            "an `#[info]` takes the message: its type tells which messages come here",
        ],
    );
    check_errors(
        "fn terminate(self, reason: &ExitReason) {}",
        &["the state stays with the server: `terminate` takes `&mut self`"],
    );
}

const BORROWED_ARGUMENT: &str = "an argument is sent to the server's process and cannot borrow: take an owned value, such \
                                 as `String` for `&str`";
const BORROWED_REPLY: &str = "a reply is sent to the caller's process and cannot borrow: return an owned value, such as \
                              `String` for `&str`";

#[test]
fn messages_are_owned() {
    for ty in ["&str", "&'a str", "Option<&u8>", "Cow<'_, str>", "&mut u8", "&[&'static str]"] {
        check_errors(&format!("#[call] fn a(&mut self, b: {ty}) {{}}"), &[BORROWED_ARGUMENT]);
        check_errors(&format!("#[info] fn a(&mut self, b: {ty}) {{}}"), &[BORROWED_ARGUMENT]);
        check_errors(&format!("#[call] fn a(&mut self) -> {ty} {{}}"), &[BORROWED_REPLY]);
        check_errors(&format!("#[call] fn a(&mut self) -> Reply<{ty}> {{}}"), &[BORROWED_REPLY]);
    }
    for ty in ["&'static str", "Cow<'static, str>", "fn(&str) -> &str", "Box<dyn Fn(&str) + Send>"] {
        let items = server(&format!("#[call] fn a(&mut self, b: {ty}) -> {ty} {{}}"));
        assert!(client(&items).is_some(), "{ty}");
    }
}

#[test]
fn messages_have_a_name() {
    check_errors(
        "#[cast] fn a(&mut self, b: impl Into<String>) {}",
        &["an argument is a field of the message: name its type instead of `impl Trait`"],
    );
    check_errors(
        "#[call] fn a(&mut self) -> impl Iterator {}",
        &["a reply's type needs a name: `impl Trait` has none"],
    );
    check_errors(
        "#[cast] fn a<T>(&mut self, b: T) {}",
        &["a message has one type: put the parameter on the impl block or write the type"],
    );
    check_errors(
        "#[cast] fn a<'a>(&mut self) {}",
        &["a message cannot borrow, so there is no lifetime to name here"],
    );
}

#[test]
fn only_calls_have_answers() {
    check_errors(
        "#[cast] fn a(&mut self) -> u8 { 1 }",
        &["nobody waits for a `#[cast]`: it returns nothing or `Next`"],
    );
    check_errors(
        "#[info] fn a(&mut self, _: u8) -> u8 { 1 }",
        &["nobody waits for an `#[info]`: it returns nothing or `Next`"],
    );
    check_errors("fn handle_timeout(&mut self) -> u8 { 1 }", &["`handle_timeout` returns nothing or `Next`"]);
    check_errors("fn terminate(&mut self, r: &ExitReason) -> Next { n() }", &["`terminate` returns nothing"]);
}

#[test]
fn a_call_has_one_caller() {
    check_errors(
        "#[call] fn a(&mut self, b: CallFrom<u8>, c: CallFrom<u8>) -> Reply<u8> { r() }",
        &["a call has one caller: `CallFrom` is there already"],
    );
}

#[test]
fn an_info_takes_one_message_of_its_own_type() {
    check_errors(
        "#[info] fn a(&mut self) {}",
        &["an `#[info]` takes the message: its type tells which messages come here"],
    );
    check_errors(
        "#[info] fn a(&mut self, b: u8, c: u8) {}",
        &["an `#[info]` takes one argument, the message"],
    );
    check_errors(
        "#[info] fn a(&mut self, b: Vec<u8>) {} #[info] fn c(&mut self, d: Vec<u8>) {}",
        &["`a` takes the messages of this type already"],
    );
    let by_cfg =
        "#[cfg(x)] #[info] fn a(&mut self, b: u8) {} #[cfg(not(x))] #[info] fn a(&mut self, b: u8) {}";
    assert_eq!(inherent(&server(by_cfg)).len(), 2);
}

#[test]
fn callbacks_have_their_shape() {
    check_errors("fn terminate(&mut self) {}", &["expected `fn terminate(&mut self, reason: &ExitReason)`"]);
    check_errors("fn handle_timeout(&mut self, n: u8) {}", &["expected `fn handle_timeout(&mut self)`"]);
    check_errors("fn handle_info(&mut self) {}", &["expected `fn handle_info(&mut self, message: Message)`"]);
    check_errors(
        "fn handle_continue(&mut self) {}",
        &["expected `fn handle_continue(&mut self, step: Continue)`"],
    );
}

#[test]
fn marks_are_for_other_functions_and_come_once() {
    check_errors(
        "#[cast] fn a(&mut self) {} #[call] fn a(&mut self) {}",
        &["there is a function `a` already"],
    );
    check_errors("#[cast] #[call] fn a(&mut self) {}", &["`a` is already a `#[cast]`"]);
    check_errors("#[call(5)] fn a(&mut self) {}", &["`#[call]` takes no options"]);
    check_errors(
        "#[info] fn terminate(&mut self, r: &ExitReason) {}",
        &["`terminate` is a callback of its own: it takes no `#[info]`"],
    );
    check_errors(
        "#[call] fn start(&mut self) {}",
        &["`start` starts the server: give this function another name"],
    );
}

#[test]
fn handlers_are_plain_functions() {
    check_errors(
        "#[call] const fn a(&mut self) {}",
        &["the server calls this function at run time: it is not `const`"],
    );
    let plain = "the server calls this function: it is a plain or an async `fn`";
    check_errors("#[call] unsafe fn a(&mut self) {}", &[plain]);
    check_errors("#[cast] extern \"C\" fn a(&mut self) {}", &[plain]);
}

#[test]
fn errors_of_several_functions_come_together() {
    check_errors(
        "#[call] fn a(self) {} #[cast] fn b(&mut self, c: &u8) {} fn terminate(&mut self) {}",
        &[
            "the state stays with the server: a `#[call]` takes `&mut self`",
            BORROWED_ARGUMENT,
            "expected `fn terminate(&mut self, reason: &ExitReason)`",
        ],
    );
}

#[test]
fn a_mark_without_gen_server_is_an_error() {
    let text = misplaced(
        "call",
        quote!(
            fn a(&mut self) {}
        ),
    )
    .to_string();
    assert!(text.starts_with("fn a (& mut self) { }"), "{text}");
    assert!(text.contains("`#[call]` marks a function of an impl block with `#[gen_server]`"), "{text}");
}

#[test]
fn format_status_looks_and_does_not_wait() {
    let items = server("fn format_status(&self, s: &mut ServerStatus) {}");
    check_holds(
        implementation(&items, "GenServer"),
        "fn format_status(&self, status: &mut ::ibeam::gen_server::ServerStatus) { Self::format_status(self, status); }",
    );
    let usage = "expected `fn format_status(&self, status: &mut ServerStatus)`";
    check_errors("async fn format_status(&self, s: &mut ServerStatus) {}", &[usage]);
    check_errors("fn format_status(&mut self, s: &mut ServerStatus) {}", &[usage]);
    check_errors("fn format_status(&self) {}", &[usage]);
    let nothing = "`format_status` returns nothing";
    check_errors("fn format_status(&self, s: &mut ServerStatus) -> Next { n() }", &[nothing]);
}
