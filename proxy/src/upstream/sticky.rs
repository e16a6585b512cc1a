//! A cookie that brings a client back to its endpoint.
//!
//! Its value is HMAC-SHA256 over the upstream's name and the endpoint's address: it names the endpoint without telling
//! its address, the same on every worker, after a restart and at another proxy with the same secret, and nobody without
//! the secret can make one. What is not the value of an endpoint is ignored, whoever made it.

use std::{fmt, sync::Arc, time::Duration};

use ring::hmac;

/// Bytes of a secret.
pub const SECRET_BYTES_MIN: usize = 32;
/// Bytes of a secret's file.
pub const SECRET_BYTES_MAX: usize = 4096;

/// Digits of a cookie's value: half of the HMAC, as RFC 2104 section 5 allows.
const VALUE_DIGITS: usize = 32;

/// What cookies are signed with. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// These bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a config asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickySettings {
    /// The cookie's name.
    pub cookie: Box<str>,
    /// What it is signed with.
    pub secret: Secret,
    /// How long clients keep it; `None`: until they end.
    pub max_age: Option<Duration>,
}

/// What stands for one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(u128);

impl Token {
    /// Reads the value of a cookie. Only what [`Sticky::set_cookie`] writes is one.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if value.len() != VALUE_DIGITS || !value.iter().all(is_digit) {
            return None;
        }
        u128::from_str_radix(std::str::from_utf8(value).ok()?, 16).ok().map(Self)
    }
}

/// The cookies of one upstream.
#[derive(Debug, PartialEq, Eq)]
pub struct Sticky {
    /// The cookie's name.
    pub cookie: Box<str>,
    max_age: Option<Duration>,
    /// By place of the endpoint.
    tokens: Box<[Token]>,
}

impl Sticky {
    /// Cookies for the upstream `name`, whose endpoints have these addresses.
    pub fn new<'a>(settings: &StickySettings, name: &str, addresses: impl Iterator<Item = &'a str>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &settings.secret.0);
        let token = |address: &str| {
            let mut context = hmac::Context::with_key(&key);
            // The length tells where the name ends.
            context.update(&(name.len() as u64).to_be_bytes());
            context.update(name.as_bytes());
            context.update(address.as_bytes());
            let tag = context.sign();
            let half = tag.as_ref().iter().take(VALUE_DIGITS / 2);
            Token(half.fold(0, |value, byte| value << 8 | u128::from(*byte)))
        };
        Self {
            cookie: settings.cookie.clone(),
            max_age: settings.max_age,
            tokens: addresses.map(token).collect(),
        }
    }

    /// What stands for the endpoint in this place.
    pub fn token(&self, index: usize) -> Option<Token> {
        self.tokens.get(index).copied()
    }

    /// The line that gives a client this token, with its end.
    pub fn set_cookie(&self, Token(value): Token) -> String {
        let age = self.max_age.map_or(String::new(), |age| format!("; Max-Age={}", age.as_secs()));
        let name = &self.cookie;
        format!("Set-Cookie: {name}={value:0VALUE_DIGITS$x}; Path=/; HttpOnly; SameSite=Lax{age}\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: [&str; 2] = ["127.0.0.1:9000", "unix:/run/app.sock"];

    fn sticky(secret: &str, name: &str, max_age: Option<u64>) -> Sticky {
        let settings = StickySettings {
            cookie: "at".into(),
            secret: Secret::new(secret.as_bytes()),
            max_age: max_age.map(Duration::from_secs),
        };
        Sticky::new(&settings, name, ADDRESSES.into_iter())
    }

    #[test]
    fn a_token_is_of_one_endpoint_name_and_secret() {
        let all = [sticky("s", "app", None), sticky("t", "app", None), sticky("s", "ap", None)];
        let tokens: Vec<_> = all.iter().flat_map(|it| [it.token(0), it.token(1)]).flatten().collect();
        for (index, token) in tokens.iter().enumerate() {
            assert!(!tokens[..index].contains(token), "{tokens:?}");
        }
        assert_eq!(tokens.len(), 6);
        assert_eq!(sticky("s", "app", Some(9)).token(1), all[0].token(1));
        assert_eq!(all[0].token(2), None);
    }

    /// Written down: another value would cut every client from its endpoint. Computed with Python's `hmac`.
    #[test]
    fn the_line_and_its_value() {
        let sticky = sticky("0123456789abcdef0123456789abcdef", "app", None);
        let token = sticky.token(0).unwrap_or(Token(0));
        let line = sticky.set_cookie(token);
        assert_eq!(
            line,
            "Set-Cookie: at=30810fb78f10117ec148615b2e0eb39c; Path=/; HttpOnly; SameSite=Lax\r\n"
        );
        let value = &line["Set-Cookie: at=".len()..][..VALUE_DIGITS];
        assert_eq!(Token::parse(value.as_bytes()), Some(token));
    }

    #[test]
    fn attributes_and_zeros() {
        let line = sticky("s", "app", Some(3600)).set_cookie(Token(0xab));
        let value = "000000000000000000000000000000ab";
        assert_eq!(line, format!("Set-Cookie: at={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600\r\n"));
        assert_eq!(Token::parse(value.as_bytes()), Some(Token(0xab)));
    }

    #[test]
    fn what_is_no_value() {
        let good = "000000000000000000000000000000ab";
        for bad in [
            "",
            "ab",
            &good[1..],
            &format!("0{good}"),
            &good.to_uppercase(),
            &good.replace("0a", "+a"),
            &good.replace('b', "g"),
            &good.replace('b', " "),
        ] {
            assert_eq!(Token::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new(b"hush")), "Secret(..)");
    }
}
