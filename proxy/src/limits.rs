//! Every built-in bound, with its unit in its name. A bound that a user can set is a config key; what is here is
//! either its default or a limit that no config moves. Relations between them are asserted at compile time.

use std::time::Duration;

/// Default of `limits.request_head_bytes`: a request line and all header lines, in bytes.
pub const REQUEST_HEAD_BYTES_DEFAULT: usize = 32 * 1024;
/// The most that `limits.request_head_bytes` can be set to. Line offsets are stored in 16 bits, and the decoder
/// cannot take a field name over 64 KiB.
pub const REQUEST_HEAD_BYTES_MAX: usize = 60 * 1024;
/// The least that `limits.request_head_bytes` can be set to.
pub const REQUEST_HEAD_BYTES_MIN: usize = 512;
/// A response head from an upstream, in bytes.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 60 * 1024;
/// Fields in one head: the decoder's own limit.
pub const HEAD_FIELDS_MAX: usize = 96;
/// Empty lines (CRLF) skipped before a request line, RFC 9112 section 2.2.
pub const LEADING_EMPTY_LINES_MAX: usize = 2;
/// Interim (1xx) responses passed on for one request before the upstream is taken as broken.
pub const INTERIM_RESPONSES_MAX: usize = 16;

/// Entries of `X-Forwarded-For` or `Forwarded` that are looked at, from the right: proxies between a client and us.
pub const FORWARDED_HOPS_MAX: usize = 32;
/// Networks in the `trusted_proxies` of one listener.
pub const TRUSTED_PROXIES_MAX: usize = 4096;
/// A PROXY protocol header of version 1, in bytes, CRLF included: what its specification allows.
pub const PROXY_HEADER_V1_BYTES_MAX: usize = 107;
/// A PROXY protocol header of version 2, in bytes. Its vectors are to fit into a packet together with all else.
pub const PROXY_HEADER_V2_BYTES_MAX: usize = 4096;
/// An `X-Request-Id` that is passed on, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Members of a `tracestate`, W3C Trace Context section 3.3.1.1.
pub const TRACESTATE_MEMBERS_MAX: usize = 32;
/// A `tracestate` that is passed on, in bytes: what section 3.3.1.5 asks for at least.
pub const TRACESTATE_BYTES_MAX: usize = 512;
/// A member of it that is longer goes first where that is too much.
pub const TRACESTATE_LONG_MEMBER_BYTES: usize = 128;

/// Hexadecimal digits of a chunk size. 16 would be 64 bits; 15 keeps every sum below 2^63.
pub const CHUNK_SIZE_DIGITS_MAX: usize = 15;
/// A chunk-size line with its extensions, in bytes.
pub const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;
/// Extension bytes over one whole body: a sender that puts one on every chunk is abusing us (CVE-2023-39326 and kin).
pub const CHUNK_EXTENSION_BYTES_TOTAL_MAX: usize = 16 * 1024;
/// A trailer section, in bytes.
pub const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// What a connection that waits has room for, in bytes; most heads fit, and what does not is read in a second step.
pub const WATCH_BYTES: usize = 512;
/// What a read into a connection's first buffer can take, in bytes. Only what is read is ever touched.
/// No power of two: buffers that lie a power of two apart share the same few lines of every cache.
pub const READ_BUFFER_BYTES: usize = 20 * 1024;
/// What one read takes once a body has proved large, in bytes.
pub const BODY_BUFFER_BYTES: usize = 128 * 1024;
/// A body with at least so many bytes to come passes through a pipe inside the kernel, where it passes as it is.
/// Shorter ones cost less when they are copied (measured at 64 KiB to 4 MiB: even at 256 KiB, 0.7 at 512 KiB, 0.4 at 1 MiB).
pub const SPLICE_BYTES_MIN: u64 = 256 * 1024;
/// What such a pipe holds, in bytes: what a client that stops reading leaves in the kernel, beside its socket's buffer.
pub const SPLICE_PIPE_BYTES: usize = 256 * 1024;
/// Bodies that pass so at once in one worker; further ones are copied.
pub const SPLICE_PIPES_MAX: usize = 256;
/// Room kept free before a response, in bytes, so that the head that goes to the client, a little longer than the one
/// that came, can be written right before the body and both sent as one piece.
pub const HEADROOM_BYTES: usize = 128;
/// Request body bytes read and dropped after an early final response, to keep the connection (else it is closed).
pub const DRAIN_BODY_BYTES_MAX: u64 = 256 * 1024;

/// Backlog of a listening socket, in connections.
pub const LISTEN_BACKLOG: i32 = 4096;
/// Upstream connections tried for one request before it fails: endpoints that refuse are skipped.
pub const CONNECT_TRIES_MAX: usize = 3;
/// Further tries of one request, at most.
pub const RETRIES_MAX: u64 = 10;
/// What can be kept of one request's body to send it again, in bytes.
pub const RETRY_BUFFER_BYTES_MAX: usize = 1024 * 1024;
/// What one worker keeps of all of them, in bytes; a request that comes when there is so much is not tried again.
pub const RETRY_BUFFERS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Steps of the worker's deadline clock. A timeout ends between its length and one tick more.
pub const TICK: Duration = Duration::from_millis(20);
/// Routes with histograms of their own in one worker; the rest are counted together.
pub const ROUTE_HISTOGRAMS_MAX: usize = 1024;

const _: () = assert!(REQUEST_HEAD_BYTES_DEFAULT <= REQUEST_HEAD_BYTES_MAX);
const _: () = assert!(REQUEST_HEAD_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(RESPONSE_HEAD_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(CHUNK_SIZE_DIGITS_MAX < 16);
const _: () = assert!(PROXY_HEADER_V1_BYTES_MAX < PROXY_HEADER_V2_BYTES_MAX);

/// A regular expression in a route, compiled, in bytes.
pub const ROUTE_REGEX_BYTES_MAX: usize = 1024 * 1024;
/// Parameters in a `path`. matchit panics beyond 25.
pub const PATH_PARAMETERS_MAX: usize = 16;

const _: () = assert!(PATH_PARAMETERS_MAX <= 25);

/// Rules of one config.
pub const RULES_MAX: usize = 10_000;
/// How deep `all`, `any` and `not` of a rule may be nested.
pub const RULE_DEPTH_MAX: usize = 8;
/// Conditions of one rule, nested ones and each `all`, `any` and `not` included.
pub const RULE_CONDITIONS_MAX: usize = 256;
/// Conditions of all rules together: each is a bit that is cleared for every request.
pub const RULE_CONDITIONS_TOTAL_MAX: usize = 65_536;
/// Networks in the `client` lists of all rules together.
pub const RULE_NETWORKS_TOTAL_MAX: usize = 262_144;
/// Distinct tags of one config: those of a request are the bits of one word.
pub const RULE_TAGS_MAX: usize = 64;
/// Header fields that one rule adds to a line of the access log.
pub const RULE_LOG_HEADERS_MAX: usize = 16;
/// Rules, and tags, that one worker counts by name in its life; what comes later is counted together.
pub const RULE_COUNTERS_MAX: usize = 16_384;

const _: () = assert!(RULE_TAGS_MAX <= u64::BITS as usize);
const _: () = assert!(RULES_MAX <= RULE_COUNTERS_MAX);

/// Checks of health under way at a time; further ones wait.
pub const HEALTH_CHECKS_MAX: usize = 64;
/// What is read of the body of a check's answer to find what must be in it, in bytes.
pub const HEALTH_CHECK_BODY_BYTES_MAX: usize = 64 * 1024;
/// The head of a check's answer, in bytes.
pub const HEALTH_CHECK_HEAD_BYTES_MAX: usize = 16 * 1024;
/// How often the control thread looks at what workers have counted, and says what it makes of it.
pub const HEALTH_LOOK_EVERY: Duration = Duration::from_millis(100);
/// Parts that a window of tries is kept in: it moves by one of them.
pub const HEALTH_WINDOW_PARTS: u32 = 20;
/// Where the share of an endpoint that has recovered begins, in per mille of its weight.
pub const SLOW_START_SHARE_MIN: u32 = 100;
/// An endpoint is not slow as long as its 99th percentile is within so much of its peers': that much is chance.
pub const LATENCY_DIFFERENCE_MIN: Duration = Duration::from_millis(5);

// hyper takes no smaller buffer.
const _: () = assert!(HEALTH_CHECK_HEAD_BYTES_MAX >= 8192);
const _: () = assert!(SLOW_START_SHARE_MIN > 0);
/// Keys (clients, values of a header field, routes) of which one worker knows how much they have asked for, and as many of
/// which it counts what is under way. 2 MiB for the former, 1 MiB for the latter, where there is such a limit at all.
pub const LIMIT_KEYS_MAX: usize = 65_536;
/// Keys of which a worker tells the others at a time; after so many it does not wait for its tick.
pub const LIMIT_NEWS_MAX: usize = 2_048;
/// What a worker has told the others last, for those that have not heard it yet.
pub const LIMIT_JOURNAL_ENTRIES: usize = 4 * LIMIT_NEWS_MAX;
/// The highest rate limit: requests per second. What a request costs is whole nanoseconds, and this keeps rounding small.
pub const RATE_PER_SECOND_MAX: u64 = 1_000_000;
/// How long an empty bucket may take to fill. Also keeps every sum of nanoseconds far below 2^64.
pub const BUCKET_FILL_MAX: Duration = Duration::from_secs(366 * 86_400);
/// A client is judged slow over so much time of waiting for it.
pub const PACE_PERIOD: Duration = Duration::from_secs(5);

const _: () = assert!(RATE_PER_SECOND_MAX <= 1_000_000);
