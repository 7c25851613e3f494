//! Redis' glob patterns: `*`, `?`, `[a-c]`, `[^x]` and `\` before a character that stands for itself.
//!
//! # Invariants
//! 1. Matching takes at most `pattern.len() * text.len()` steps and no memory: every element but `*` takes exactly one
//!    byte, so after a mismatch it is enough to let the *last* `*` take one byte more. (Redis recurses, which patterns
//!    such as `*a*a*a*b` made exponential before it learnt to cut that off.)
//! 2. A pattern is never wrong: an unclosed `[` ends with the pattern and a final `\` stands for itself.
//!
//! # Differs from Redis
//! A pattern of several stars matches the empty string here. Ranges compare bytes as unsigned on every machine.

/// Whether `text` matches `pattern`.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: behind the last `*`, with what it has taken so far.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == b'*' {
            p += 1;
            if p == pattern.len() {
                return true;
            }
            retry = Some((p, t));
            continue;
        }
        if t == text.len() {
            // No `*` can help: it could only take bytes that are missing already.
            return p == pattern.len();
        }
        if p < pattern.len() {
            let (takes, next) = element(pattern, p, text[t]);
            if takes {
                (p, t) = (next, t + 1);
                continue;
            }
        }
        let Some((star_p, star_t)) = retry else { return false };
        retry = Some((star_p, star_t + 1));
        (p, t) = (star_p, star_t + 1);
    }
}

/// Whether the element of `pattern` at `p` (not a `*`) takes `byte`, and where the next element starts.
#[inline]
fn element(pattern: &[u8], p: usize, byte: u8) -> (bool, usize) {
    match pattern[p] {
        b'?' => (true, p + 1),
        b'[' => class(pattern, p + 1, byte),
        b'\\' if p + 1 < pattern.len() => (pattern[p + 1] == byte, p + 2),
        literal => (literal == byte, p + 1),
    }
}

/// The class whose `[` stands before `p`.
fn class(pattern: &[u8], mut p: usize, byte: u8) -> (bool, usize) {
    let negated = pattern.get(p) == Some(&b'^');
    p += usize::from(negated);
    let mut found = false;
    loop {
        match pattern[p..] {
            [] => return (found != negated, p),
            [b'\\', escaped, ..] => {
                found |= escaped == byte;
                p += 2;
            }
            [b']', ..] => return (found != negated, p + 1),
            [from, b'-', to, ..] => {
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                p += 3;
            }
            [literal, ..] => {
                found |= literal == byte;
                p += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line was answered by redis-server 7.0.15: `SET text ""`, then whether `KEYS pattern` finds it.
    #[test]
    fn matches_what_redis_matches() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("?", "", false),
            ("*", "anything", true),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "hllo", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("h[a-b]llo", "hcllo", false),
            ("[^a-c]", "d", true),
            ("[^a-c]", "b", false),
            ("[abc", "c", true),
            ("[abc", "d", false),
            ("[", "[", false),
            ("[]", "]", false),
            ("[]", "a", false),
            ("[^]", "a", true),
            ("[]a]", "a]", false),
            ("[\\]]", "]", true),
            ("[\\-]", "-", true),
            ("[a-]", "-", false),
            ("[a-]", "^", true),
            ("[a\\-c]", "b", false),
            ("[a", "a", true),
            ("[a-", "a", true),
            ("[a-", "-", true),
            ("[^", "a", true),
            ("[\\", "\\", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("\\a", "a", true),
            ("a\\", "a\\", true),
            ("\\\\", "\\", true),
            ("a*", "a", true),
            ("a**", "a", true),
            ("*a", "a", true),
            ("a*b*c", "abcbc", true),
            ("a*b*c", "abcb", false),
            ("*ab", "aab", true),
            ("*aab*", "aaaab", true),
            ("a*[bc]d", "abcd", true),
            ("?*?", "a", false),
            ("?*?", "ab", true),
            ("A", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn many_stars_stay_polynomial() {
        let pattern = "a*".repeat(1000) + "b";
        let text = "a".repeat(20_000);
        assert!(!matches(pattern.as_bytes(), text.as_bytes()));
        assert!(matches(b"*a*a*a*a*a*a*a*a*a*", text.as_bytes()));
    }

    /// The definition, as directly as it can be written down.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|taken| by_definition(rest, &text[taken..])),
            _ => text.split_first().is_some_and(|(byte, text)| {
                let (takes, next) = element(pattern, 0, *byte);
                takes && by_definition(&pattern[next..], text)
            }),
        }
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?\\[\\]^\\\\-]{0,10}", text in "[ab^\\]-]{0,10}") {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            proptest::prop_assert_eq!(matches(pattern, text), by_definition(pattern, text));
        }
    }
}
