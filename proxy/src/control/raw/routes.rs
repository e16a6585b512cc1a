//! Every key of a route.

use http::{HeaderName, HeaderValue, Method};

use super::{
    either::{Numbers, SCHEME, ValueSpec},
    limits::{RateLimit, UNDER_WAY_MAX},
    overload::PRIORITY,
    quantity::size,
    retries::Hedge,
    section::{section, table},
    spec::{Item, List, Map, MapEntry, OneOrMore, count, off_or},
    text::{
        ANY, HEADER_NAME, HEADER_VALUE, HOST, METHOD, NAME, NEW_HOST, NEW_PATH, PATH, PATH_PREFIX, PATH_REGEX,
    },
};
use crate::{
    overload::Priority,
    route::{host::HostPattern, path::PathPattern, predicate::ValuePattern},
};

/// Weight of one side of a split.
const SPLIT_WEIGHT_MAX: u64 = 1_000_000;

section! {
    /// What is done with which request: conditions, and one of upstream, split, redirect and respond.
    pub(crate) struct Route {
        /// Its name in logs and metrics; no two routes share one.
        name: String, required, NAME;
        /// What a request must be: all of these. Absent: any request.
        r#match: Match, optional, table::<Match>();
        /// Forward to this upstream.
        upstream: String, optional, NAME;
        /// Forward to one of several upstreams, by weight.
        split: Vec<Item<SplitChoice>>, optional, List(table::<SplitChoice>());
        /// Answer with a redirect.
        redirect: Redirect, optional, table::<Redirect>();
        /// Answer with a fixed response.
        respond: Respond, optional, table::<Respond>();
        /// Changes to what is forwarded.
        rewrite: Rewrite, optional, table::<Rewrite>();
        /// Changes to the header fields of the request that is forwarded.
        request_headers: HeaderEdits, optional, table::<HeaderEdits>();
        /// Changes to the header fields of the response that comes back.
        response_headers: HeaderEdits, optional, table::<HeaderEdits>();
        /// A second try at another endpoint beside a first one that is slow. Absent: none.
        hedge: Hedge, optional, table::<Hedge>();
        /// How many requests it takes in a time; beyond it 429. Of the whole process. Absent: any number.
        rate_limit: RateLimit, optional, table::<RateLimit>();
        /// Requests under way at a time, over all workers, at least one for each; beyond it 503. "off": no limit.
        max_requests: Option<u64>, default("off"), off_or(count(1, UNDER_WAY_MAX));
        /// The same of each client; beyond it 429. "off": no limit.
        max_requests_per_client: Option<u64>, default("off"), off_or(count(1, UNDER_WAY_MAX));
        /// A request's body; beyond it 413. The listener's limit holds as well. "off": no limit.
        request_body_bytes: Option<u64>, default("off"), off_or(size(0, 1 << 50));
        /// When its requests are shed by an overloaded worker: "low" first, "high" last; see `[overload]`. Absent: "normal".
        priority: Priority, optional, PRIORITY;
    }
}

section! {
    /// What a request must be: all of these.
    pub(crate) struct Match {
        /// One of these hosts: "example.com", or "*.example.com" for any name below it. Ports don't count.
        hosts: Vec<Item<HostPattern>>, optional, List(HOST);
        /// Exactly this path, perhaps with parameters: "/users/{id}", "/files/{*rest}".
        path: PathPattern, optional, PATH;
        /// This path and all below it, by whole segments: "/api" is not "/apix".
        path_prefix: PathPattern, optional, PATH_PREFIX;
        /// A regular expression found in the path, unanchored unless it says ^ and $.
        path_regex: PathPattern, optional, PATH_REGEX;
        /// One of these methods.
        methods: Vec<Item<Method>>, optional, List(METHOD);
        /// All of these header fields: x-version = "2", x-beta = { present = true }, x-c = { regex = "^a" }.
        headers: Vec<MapEntry<HeaderName, ValuePattern>>, optional, Map { keys: HEADER_NAME, values: ValueSpec };
        /// All of these query parameters, in the same form.
        query: Vec<MapEntry<String, ValuePattern>>, optional, Map { keys: ANY, values: ValueSpec };
    }
}

section! {
    /// One side of a split.
    pub(crate) struct SplitChoice {
        /// The upstream's name.
        upstream: String, required, NAME;
        /// Its share of the requests, as a part of the sum of all weights. 0: none.
        weight: u64, default(1), count(0, SPLIT_WEIGHT_MAX);
    }
}

section! {
    /// A redirect. What is absent is taken from the request.
    pub(crate) struct Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u64, default(302), Numbers(&[301, 302, 303, 307, 308]);
        /// "http" or "https".
        scheme: &'static str, optional, SCHEME;
        /// Host, perhaps with a port.
        host: String, optional, NEW_HOST;
        /// Replaces the whole path.
        path: String, optional, NEW_PATH;
        /// Replaces the prefix that match.path_prefix matched.
        path_prefix: String, optional, NEW_PATH;
    }
}

section! {
    /// A fixed response.
    pub(crate) struct Respond {
        /// 200 to 599.
        status: u64, default(200), count(200, 599);
        /// The body.
        body: String, default(""), ANY;
        /// Content-Type, sent when there is a body.
        content_type: HeaderValue, default("text/plain; charset=utf-8"), HEADER_VALUE;
    }
}

section! {
    /// Changes to what is forwarded.
    pub(crate) struct Rewrite {
        /// Replaces the prefix that match.path_prefix matched.
        path_prefix: String, optional, NEW_PATH;
        /// Replaces the Host that the upstream sees.
        host: String, optional, NEW_HOST;
    }
}

section! {
    /// Changes to header fields, in the order remove, set, add.
    pub(crate) struct HeaderEdits {
        /// Fields that are dropped, all their lines.
        remove: Vec<Item<HeaderName>>, default([]), List(HEADER_NAME);
        /// Fields that are replaced: all their lines are dropped and this one is written.
        set: Vec<MapEntry<HeaderName, HeaderValue>>, default({}), Map { keys: HEADER_NAME, values: HEADER_VALUE };
        /// Lines that are added, whatever there is already: a value, or a list of them.
        add: Vec<MapEntry<HeaderName, Vec<HeaderValue>>>, default({}),
            Map { keys: HEADER_NAME, values: OneOrMore(HEADER_VALUE) };
    }
}
