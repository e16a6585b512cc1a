//! Routes: no pattern and no request panics, and what the index selects is the first route, in the order of the table,
//! that meets all conditions when each is asked by itself. Routes have one host at most here, because one with several
//! stands in that order more than once.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use libfuzzer_sys::fuzz_target;
use ringlane::route::{
    Action, Built, HostPattern, Outcome, PathPattern, Predicates, Redirect, RequestView, Respond, Route,
    ValuePattern, rewrite_target,
};

const ROUTES_MAX: usize = 12;
const REQUESTS_MAX: usize = 8;

/// Text is made of pieces that routes and requests have in common, so that they meet, and of odd bytes.
const PIECES: [&str; 24] = [
    "/", "/a", "/b", "/ab", "/{x}", "/{x}b", "/a{x}", "/{*x}", "/{{", "}}", "a", "b", ".", "*.", "test", "^",
    "$", "(", "[ab]", "=", "&", "%61", "+", "//",
];

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let routes: Vec<Route> = (0..ROUTES_MAX).map_while(|id| route(&mut input, id)).collect();
    let table = match Built::new(1, routes.clone(), Vec::new(), Vec::new()) {
        Ok(table) => table,
        // Those that cannot stand beside the others are left out; what is left must do.
        Err(errors) => {
            let blamed: Vec<usize> = errors.iter().flat_map(|error| error.routes.iter().copied()).collect();
            let rest = routes.into_iter().enumerate().filter(|(id, _)| !blamed.contains(id));
            match Built::new(1, rest.map(|(_, route)| route).collect(), Vec::new(), Vec::new()) {
                Ok(table) => table,
                Err(errors) => panic!("{errors:?}"),
            }
        }
    };
    for _ in 0..REQUESTS_MAX {
        check(&table, &mut input);
    }
});

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.byte() % 6 {
            let byte = self.byte();
            match PIECES.get(usize::from(byte)) {
                Some(piece) => text.push_str(piece),
                None => text.push(char::from(byte)),
            }
        }
        text
    }

    fn path(&mut self) -> String {
        format!("/{}", self.text()).replacen("//", "/", 1)
    }

    fn method(&mut self) -> Method {
        [Method::GET, Method::POST, Method::PUT][usize::from(self.byte() % 3)].clone()
    }

    fn value(&mut self) -> ValuePattern {
        match self.byte() % 3 {
            0 => ValuePattern::Present,
            1 => ValuePattern::Exact(self.text().into()),
            _ => ValuePattern::regex(&self.text()).unwrap_or(ValuePattern::Present),
        }
    }
}

/// One route, until the input is used up.
fn route(input: &mut Input<'_>, id: usize) -> Option<Route> {
    if input.0.is_empty() {
        return None;
    }
    let asks = input.byte();
    let host = if asks & 1 == 0 { None } else { HostPattern::parse(&input.text()).ok() };
    let path = match asks >> 1 & 3 {
        0 => Ok(PathPattern::Any),
        1 => PathPattern::exact(&input.path()),
        2 => PathPattern::prefix(&input.path()),
        _ => PathPattern::regex(&input.text()),
    };
    let mut predicates = Predicates {
        hosts: host.into_iter().collect(),
        path: path.unwrap_or_default(),
        ..Predicates::default()
    };
    if asks & 8 != 0 {
        predicates.methods = [input.method()].into();
    }
    if asks & 16 != 0 {
        predicates.headers = [(HeaderName::from_static("x-a"), input.value())].into();
    }
    if asks & 32 != 0 {
        predicates.query = [(input.text().into(), input.value())].into();
    }
    Some(Route {
        id: id as u32,
        name: format!("r{id}").into(),
        predicates,
        action: Action::Respond(Respond {
            status: StatusCode::OK,
            content_type: "".into(),
            body: Default::default(),
        }),
        rewrite_path_prefix: None,
        rewrite_host: None,
        request_headers: Default::default(),
        response_headers: Default::default(),
        hedge: None,
        limits: None,
        priority: Default::default(),
    })
}

fn check(table: &Built, input: &mut Input<'_>) {
    let method = input.method();
    let (host, path) = (input.text(), input.path());
    let query = if input.byte() & 1 == 0 { None } else { Some(input.text()) };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::try_from(input.text()) {
        headers.append("x-a", value);
    }
    let request =
        RequestView { method: &method, host: &host, path: &path, query: query.as_deref(), headers: &headers };
    let selected = table.table().select(&request);
    let verdicts = table.explain(&request);
    let first = verdicts.iter().find(|verdict| !matches!(verdict.outcome, Outcome::LostOn(_)));
    match (&selected, first) {
        (None, None) => {}
        (Some(selected), Some(first)) => {
            assert_eq!(first.outcome, Outcome::Won, "{request:?} {verdicts:?}");
            assert_eq!(selected.route.id, first.route.id);
            let rest = path.get(selected.prefix_len..);
            assert!(rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')), "{request:?}");
        }
        _ => panic!("{request:?} {verdicts:?}"),
    }
    let prefix_len = selected.map_or(0, |selected| selected.prefix_len);
    answer(&request, prefix_len, &input.path());
}

/// Rewrites and redirects hold what is promised of them, whatever the request.
fn answer(request: &RequestView<'_>, prefix_len: usize, replacement: &str) {
    let mut target = Vec::new();
    rewrite_target(&mut target, request.path, request.query, prefix_len, replacement);
    assert!(target.starts_with(b"/"));
    let redirect = Redirect {
        status: StatusCode::FOUND,
        scheme: None,
        host: None,
        path: None,
        path_prefix: Some(replacement.into()),
    };
    let location = redirect.location("http", "a.test", request.path, request.query, prefix_len);
    assert!(location.starts_with("http://a.test/"));
    let location = redirect.location("http", "", request.path, request.query, prefix_len);
    assert!(location.starts_with('/') && !location.starts_with("//"), "{location}");
    assert!(HeaderValue::try_from(&location).is_ok_and(|value| value.to_str().is_ok()), "{location}");
}
