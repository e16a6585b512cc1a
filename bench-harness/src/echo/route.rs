//! Which answer a path asks for.
use crate::http::fields::parse_decimal;

/// Body length of `/`.
pub const DEFAULT_BODY_BYTES: u64 = 13;

/// What the origin does for a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/`, `/bytes/N`: a body with a Content-Length.
    Bytes(u64),
    /// `/chunked/N`: the same body, chunked.
    Chunked(u64),
    /// `/close/N`: the same body, ended by closing.
    Close(u64),
    /// `/status/N`: the default body, or none where the status forbids one.
    Status(u16),
    /// `/delay/MS`: the default body after so many milliseconds.
    Delay(u64),
    /// `/headers`: the request's head as the body.
    Headers,
    /// `/echo`: the request's body as the body.
    Echo,
    /// `/upload`: the length and CRC-32 of the request's body.
    Upload,
    /// `/__stats`: the counters.
    Stats,
    /// Anything else: 404. Before each of these may stand `/app-N`.
    Unknown,
}

/// What a path may begin with, a number and a slash behind it, without meaning anything else than it does without: so
/// that a proxy can have many routes by path.
const APP: &[u8] = b"/app-";

/// How long the first part of `/app-N/...` is; 0 of any other path.
pub fn app_length(path: &[u8]) -> usize {
    let Some(rest) = path.strip_prefix(APP) else { return 0 };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 && rest.get(digits) == Some(&b'/') { APP.len() + digits } else { 0 }
}

/// Reads the path of a request.
pub fn of(path: &[u8]) -> Route {
    let path = path.get(app_length(path)..).unwrap_or_default();
    match path {
        b"/" => return Route::Bytes(DEFAULT_BODY_BYTES),
        b"/headers" => return Route::Headers,
        b"/echo" => return Route::Echo,
        b"/upload" => return Route::Upload,
        b"/__stats" => return Route::Stats,
        _ => {}
    }
    parameterised(path).unwrap_or(Route::Unknown)
}

fn parameterised(path: &[u8]) -> Option<Route> {
    let slash = path.iter().rposition(|&byte| byte == b'/')?;
    let number = parse_decimal(&path[slash + 1..])?;
    match &path[..slash] {
        b"/bytes" => Some(Route::Bytes(number)),
        b"/chunked" => Some(Route::Chunked(number)),
        b"/close" => Some(Route::Close(number)),
        b"/delay" => Some(Route::Delay(number)),
        b"/status" if (200..1000).contains(&number) => Some(Route::Status(number as u16)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_route() {
        for (path, route) in [
            ("/", Route::Bytes(13)),
            ("/bytes/0", Route::Bytes(0)),
            ("/bytes/1048576", Route::Bytes(1 << 20)),
            ("/chunked/5", Route::Chunked(5)),
            ("/close/5", Route::Close(5)),
            ("/status/404", Route::Status(404)),
            ("/status/100", Route::Unknown),
            ("/delay/250", Route::Delay(250)),
            ("/echo", Route::Echo),
            ("/bytes/-1", Route::Unknown),
            ("/bytes/", Route::Unknown),
            ("/nothing", Route::Unknown),
            ("*", Route::Unknown),
            ("/app-7/bytes/13", Route::Bytes(13)),
            ("/app-12/headers", Route::Headers),
            ("/app-7/", Route::Bytes(13)),
            ("/app-7", Route::Unknown),
            ("/app-/bytes/13", Route::Unknown),
            ("/app-7/app-7/bytes/13", Route::Unknown),
            ("/app-7x/bytes/13", Route::Unknown),
        ] {
            assert_eq!(of(path.as_bytes()), route, "{path}");
        }
    }
}
