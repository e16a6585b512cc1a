//! Every metric, once: name, help, kind, labels, and the word that holds it. The structs that workers write, the
//! Prometheus exposition, the table in the documentation and the test against duplicates all come from this list, so
//! a new metric is one new line here and the line that counts it.

use super::{
    counter::{Counter, Gauge},
    histogram::Phase,
};

/// What a number means to whoever scrapes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
}

/// How the words of several workers become one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Added up.
    Sum,
    /// One series per worker, told apart by the label `worker`.
    Each,
}

/// What one step of a word is worth in the exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Itself.
    One,
    /// A microsecond, shown in seconds.
    Micros,
}

/// One time series of a family.
#[derive(Debug, Clone, Copy)]
pub struct Series<T: 'static> {
    /// What tells it from its siblings.
    pub label: Option<(&'static str, &'static str)>,
    /// Reads its word.
    pub read: fn(&T) -> u64,
}

/// Where a family's figures are kept.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// In the `Counters` of each worker.
    Workers {
        /// How they are put together.
        spread: Spread,
        /// What they count.
        unit: Unit,
        /// One or more words.
        series: &'static [Series<Counters>],
    },
    /// In `Process`.
    Process {
        /// What they count.
        unit: Unit,
        /// One or more words.
        series: &'static [Series<Process>],
    },
    /// Found out when the exposition is written.
    Written(Written, &'static [&'static str]),
}

/// What is found out when the exposition is written; the text beside it names the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// What is running.
    Info,
    /// When the process started.
    StartTime,
    /// Workers that did not hand over their histograms in time.
    SilentWorkers,
    /// Histogram of a phase over all exchanges.
    Phase(Phase),
    /// Histogram of the whole exchange, by route.
    Routes,
    /// How often each rule matched.
    Rules,
    /// How many requests have each tag.
    Tags,
}

/// All series of one name.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// The metric's name.
    pub name: &'static str,
    /// One sentence for people.
    pub help: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Where the figures are.
    pub source: Source,
}

/// Columns: kind, spread (workers only), unit, name, help; then the words, each with its label if it has one.
macro_rules! metrics {
    (
        workers { $($wkind:ident $spread:ident $wunit:ident $wname:literal $whelp:literal
            { $($wfield:ident $([$wlabel:ident $wvalue:literal])?),+ $(,)? })+ }
        process { $($pkind:ident $punit:ident $pname:literal $phelp:literal
            { $($pfield:ident $([$plabel:ident $pvalue:literal])?),+ $(,)? })+ }
        written { $($okind:ident $owhat:expr, $oname:literal $ohelp:literal [$($olabel:literal),*])+ }
    ) => {
        /// The words of one worker: written by it alone, on cache lines of its own, read by anybody at any time.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct Counters {
            $($(
                #[doc = concat!($whelp, " `", $wname, "`" $(, " `", stringify!($wlabel), "=\"", $wvalue, "\"`")?)]
                pub $wfield: $wkind,
            )+)+
        }

        /// The words of the process, none of them on a request's way. Each is written by one thread at a time.
        #[derive(Debug, Default)]
        pub struct Process {
            $($(
                #[doc = concat!($phelp, " `", $pname, "`" $(, " `", stringify!($plabel), "=\"", $pvalue, "\"`")?)]
                pub $pfield: $pkind,
            )+)+
        }

        /// Every metric, in the order of the exposition.
        pub const FAMILIES: &[Family] = &[
            $(Family {
                name: $oname, help: $ohelp, kind: Kind::$okind, source: Source::Written($owhat, &[$($olabel),*]),
            },)+
            $(Family {
                name: $pname, help: $phelp, kind: Kind::$pkind,
                source: Source::Process { unit: Unit::$punit, series: &[
                    $(Series { label: metrics!(@label $($plabel $pvalue)?), read: |words| words.$pfield.get() },)+
                ] },
            },)+
            $(Family {
                name: $wname, help: $whelp, kind: Kind::$wkind,
                source: Source::Workers { spread: Spread::$spread, unit: Unit::$wunit, series: &[
                    $(Series { label: metrics!(@label $($wlabel $wvalue)?), read: |words| words.$wfield.get() },)+
                ] },
            },)+
        ];
    };
    (@label) => { None };
    (@label $label:ident $value:literal) => { Some((stringify!($label), $value)) };
}

metrics! {
    workers {
        Counter Sum One "ringlane_connections_accepted_total" "Client connections accepted." { connections_accepted }
        Gauge Each One "ringlane_connections_active" "Client connections open." { connections_active }
        Counter Sum One "ringlane_connections_refused_total"
            "Client connections answered and closed because their listener, or what their client may have of it, was full." {
            connections_refused [reason "listener_full"], connections_refused_client [reason "client_limit"],
        }
        Counter Sum One "ringlane_proxy_protocol_refused_total"
            "Client connections closed for want of a good PROXY protocol header, by what was wrong." {
            proxy_protocol_malformed [reason "malformed"], proxy_protocol_late [reason "late"],
            proxy_protocol_untrusted [reason "untrusted"],
        }
        Counter Sum One "ringlane_accept_errors_total" "Failures to accept, such as no free descriptor." { accept_errors }
        Counter Sum One "ringlane_descriptor_shortages_total" "Times that no descriptor was free, by what it was for." {
            descriptors_short_client [wanted_for "client"], descriptors_short_upstream [wanted_for "upstream"],
        }
        Counter Sum One "ringlane_connection_panics_total"
            "Connections ended by a fault of the proxy; each is logged." { connection_panics }

        Counter Sum One "ringlane_requests_total" "Exchanges that have ended, however they ended." { requests }
        Gauge Sum One "ringlane_requests_active" "Exchanges under way." { requests_active }
        Counter Sum One "ringlane_responses_total" "Responses sent to clients, by class of status." {
            responses_1xx [class "1xx"], responses_2xx [class "2xx"], responses_3xx [class "3xx"],
            responses_4xx [class "4xx"], responses_5xx [class "5xx"],
        }
        Counter Sum One "ringlane_requests_refused_total" "Requests that the proxy refused to pass on, by reason." {
            refused_malformed [reason "malformed"], refused_head_too_large [reason "head_too_large"],
            refused_target_too_long [reason "target_too_long"], refused_version [reason "version"],
            refused_connect [reason "connect"], refused_body_too_large [reason "body_too_large"],
            refused_not_found [reason "not_found"], refused_denied [reason "denied"], refused_dropped [reason "dropped"],
            refused_rate_limited [reason "rate_limit"], refused_client_busy [reason "client_limit"],
            refused_route_busy [reason "route_limit"],
            refused_overloaded [reason "overloaded"], refused_no_descriptor [reason "no_descriptor"],
        }
        Counter Sum One "ringlane_requests_shed_total" "Requests answered 503 by an overloaded worker, by priority of the route." {
            shed_low [priority "low"], shed_normal [priority "normal"], shed_high [priority "high"],
        }
        Gauge Each One "ringlane_overload_level"
            "Percent of its requests that a worker sheds, because it has more to do than it can." { overload_level }
        Counter Sum One "ringlane_client_bytes_total" "Bytes of requests read from and of responses written to clients." {
            client_bytes_in [direction "in"], client_bytes_out [direction "out"],
        }
        Counter Sum One "ringlane_upstream_bytes_total" "Bytes of responses read from and of requests written to upstreams." {
            upstream_bytes_in [direction "in"], upstream_bytes_out [direction "out"],
        }
        Counter Sum One "ringlane_client_aborts_total"
            "Exchanges that the client left before they were complete." { client_aborts }
        Counter Sum One "ringlane_proxy_faults_total" "Exchanges ended by a fault of the proxy." { proxy_faults }
        Counter Sum One "ringlane_drain_cuts_total"
            "Exchanges cut because the process was ending." { drain_cuts }

        Counter Sum One "ringlane_upstream_connects_total" "Upstream connections opened." { upstream_connects }
        Counter Sum One "ringlane_upstream_connect_failures_total"
            "Attempts to open an upstream connection that failed or timed out." { upstream_connect_failures }
        Counter Sum One "ringlane_upstream_reuses_total" "Requests sent on an idle upstream connection." { upstream_reuses }
        Counter Sum One "ringlane_upstream_retries_total"
            "Requests sent again because a reused connection proved stale." { upstream_retries }
        Counter Sum One "ringlane_retries_total"
            "Further tries that [upstreams.retries] has had made, by what the one before came to." {
            retries_connect [reason "connect"], retries_reset [reason "reset"], retries_timeout [reason "timeout"],
            retries_status [reason "status"],
        }
        Counter Sum One "ringlane_retries_refused_total" "Further tries for which the budget had nothing left." { retries_refused }
        Counter Sum One "ringlane_hedges_total" "Second tries sent beside a first one that was slow." { hedges }
        Counter Sum One "ringlane_hedges_won_total" "Second tries that answered before the first one." { hedges_won }
        Counter Sum One "ringlane_hedges_refused_total" "Second tries for which the budget had nothing left." { hedges_refused }
        Gauge Sum One "ringlane_upstream_connections" "Upstream connections open, by what they do." {
            upstream_connections_busy [state "busy"], upstream_connections_idle [state "idle"],
        }
        Counter Sum One "ringlane_upstream_idle_dropped_total"
            "Idle upstream connections dropped, by why: what was seen on them, age, or a descriptor that was needed." {
            upstream_idle_closed [reason "closed_by_upstream"], upstream_idle_unasked [reason "unasked_bytes"],
            upstream_idle_expired [reason "expired"], upstream_idle_given_up [reason "descriptor_needed"],
        }
        Counter Sum One "ringlane_upstream_cuts_total" "Responses that the upstream cut short." { upstream_cuts }
        Counter Sum One "ringlane_upstream_malformed_total"
            "Responses whose head or framing broke the rules." { upstream_malformed }
        Counter Sum One "ringlane_upstream_no_endpoint_total"
            "Exchanges whose upstream had no endpoint to try." { upstream_no_endpoint }
        Counter Sum One "ringlane_upstream_refused_total" "Requests refused because of how their upstream is doing, by reason." {
            upstream_refused_unhealthy [reason "unhealthy"], upstream_refused_open [reason "circuit_open"],
            upstream_refused_full [reason "max_requests"],
        }
        Counter Sum One "ringlane_queue_waits_total" "Requests that waited for an upstream connection." { queue_waits }
        Gauge Sum One "ringlane_queue_length" "Requests waiting for an upstream connection." { queue_length }
        Counter Sum One "ringlane_queue_full_total" "Requests refused because the queue was full." { queue_full }

        Counter Sum One "ringlane_timeouts_total" "Timeouts that ended something, by name of the setting." {
            timeouts_request_head [timeout "request_head"], timeouts_request_body_idle [timeout "request_body_idle"],
            timeouts_keep_alive [timeout "keep_alive"], timeouts_response_write [timeout "response_write"],
            timeouts_queue [timeout "queue"], timeouts_connect [timeout "connect"],
            timeouts_response_head [timeout "response_head"], timeouts_response_body_idle [timeout "response_body_idle"],
            timeouts_request [timeout "request"], timeouts_tunnel_idle [timeout "tunnel_idle"],
            timeouts_request_body_rate [timeout "request_body_rate_min"],
            timeouts_response_rate [timeout "response_rate_min"],
        }
        Counter Sum One "ringlane_limit_gaps_total"
            "What limits did not hold in mind because their tables are of fixed size: keys whose bucket another key took, keys \
             that were not counted, and what a worker did not hear of the others." {
            limit_evicted [kind "evicted"], limit_uncounted [kind "not_counted"], limit_unheard [kind "not_heard"],
        }
        Counter Sum One "ringlane_tunnels_opened_total" "Upgrades that became a tunnel." { tunnels_opened }
        Gauge Sum One "ringlane_tunnels_active" "Tunnels open." { tunnels_active }
        Counter Sum One "ringlane_tunnel_bytes_total" "Bytes carried by tunnels, by where they came from." {
            tunnel_bytes_client [from "client"], tunnel_bytes_upstream [from "upstream"],
        }

        Counter Sum One "ringlane_access_log_lines_total" "Access log lines handed to the writer." { access_log_lines }
        Counter Sum One "ringlane_access_log_lines_dropped_total"
            "Access log lines dropped because the writer fell behind." { access_log_lines_dropped }
        Counter Each One "ringlane_table_adoptions_total" "Route tables that a worker has taken into use." { table_adoptions }
        Gauge Each Micros "ringlane_tick_lag_max_seconds"
            "The latest that the worker's clock ticked in the last 10 to 20 seconds." { tick_lag_max_us }
    }
    process {
        Gauge One "ringlane_workers" "Workers started." { workers }
        Counter One "ringlane_worker_restarts_total" "Worker threads started again after they died." { worker_restarts }
        Gauge One "ringlane_config_generation" "Number of the route table in force." { config_generation }
        Counter One "ringlane_config_reloads_total" "Attempts to load a new config, by result." {
            reloads_ok [result "ok"], reloads_failed [result "failed"],
        }
        Gauge One "ringlane_config_revision" "Number of the config's revision in force." { config_revision }
        Counter One "ringlane_config_changes_total" "Changes that the admin API asked for, by result." {
            config_changes_accepted [result "accepted"], config_changes_refused [result "refused"],
        }
        Gauge One "ringlane_etcd_connected" "Whether etcd is being watched." { etcd_connected }
        Gauge One "ringlane_etcd_keys_unusable" "Keys in etcd whose values can't be used." { etcd_keys_unusable }
        Gauge One "ringlane_endpoints" "Endpoints that are watched, by state." {
            endpoints_up [state "up"], endpoints_unchecked [state "unchecked"], endpoints_slow_start [state "slow_start"],
            endpoints_failing [state "failing"], endpoints_ejected [state "ejected"],
        }
        Counter One "ringlane_health_checks_total" "Checks of endpoints, by result." {
            checks_passed [result "passed"], checks_failed [result "failed"],
        }
        Counter One "ringlane_ejections_total"
            "Ejections of endpoints that their rules asked for; withheld: max_percent did not allow it." {
            ejections_made [result "made"], ejections_withheld [result "withheld"],
        }
        Counter One "ringlane_breaker_opens_total" "Times that a circuit breaker opened." { breaker_opens }
        Gauge One "ringlane_breakers" "Circuit breakers, by state." {
            breakers_closed [state "closed"], breakers_open [state "open"], breakers_half_open [state "half_open"],
        }
        Counter One "ringlane_table_builds_total" "Route tables built." { table_builds }
        Counter One "ringlane_access_log_write_errors_total"
            "Failures to write or to reopen the access log." { access_log_write_errors }
    }
    written {
        Gauge Written::Info, "ringlane_info" "Always 1; the labels say what is running."
            ["version", "build", "driver", "driver_reason"]
        Gauge Written::StartTime, "process_start_time_seconds" "When the process started, in seconds since 1970." []
        Gauge Written::SilentWorkers, "ringlane_report_silent_workers"
            "Workers that did not hand over their histograms in time; while there are any, histograms are left out." []
        Histogram Written::Phase(Phase::Total), "ringlane_request_duration_seconds"
            "From the first byte of a request to the end of its response, tunnels left out." []
        Histogram Written::Phase(Phase::Queue), "ringlane_request_queue_seconds"
            "Waiting for an upstream connection, where there was a wait." []
        Histogram Written::Phase(Phase::Connect), "ringlane_request_connect_seconds"
            "Opening an upstream connection, where one was opened." []
        Histogram Written::Phase(Phase::FirstByte), "ringlane_request_first_byte_seconds"
            "From the request going upstream to the first byte of the response head." []
        Histogram Written::Phase(Phase::Overhead), "ringlane_request_overhead_seconds"
            "What the proxy itself took: the duration less all waiting for client and upstream." []
        Histogram Written::Routes, "ringlane_route_duration_seconds"
            "As ringlane_request_duration_seconds, by route." ["route"]
        Counter Written::Rules, "ringlane_rule_matches_total" "Requests that a rule matched, by rule." ["rule"]
        Counter Written::Tags, "ringlane_tagged_requests_total" "Requests that rules gave a tag, by tag." ["tag"]
    }
}

/// The table of metrics for the documentation.
pub fn metrics_markdown() -> String {
    let mut text = String::from("| metric | kind | labels | meaning |\n|---|---|---|---|\n");
    for family in FAMILIES {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        text.push_str(&format!("| `{}` | {kind} | {} | {} |\n", family.name, labels(family), family.help));
    }
    text
}

/// The labels of a family as Markdown: name and, where they are known beforehand, values.
fn labels(family: &Family) -> String {
    fn of<T>(series: &[Series<T>]) -> Vec<(&'static str, &'static str)> {
        series.iter().filter_map(|series| series.label).collect()
    }
    let (pairs, each) = match family.source {
        Source::Workers { spread, series, .. } => (of(series), spread == Spread::Each),
        Source::Process { series, .. } => (of(series), false),
        Source::Written(_, names) => {
            return names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        }
    };
    let mut text = String::new();
    if let Some((name, _)) = pairs.first() {
        let values: Vec<_> = pairs.iter().map(|(_, value)| *value).collect();
        text = format!("`{name}`: {}", values.join(", "));
    }
    if each {
        let comma = if text.is_empty() { "" } else { "; " };
        text = format!("{text}{comma}`worker`");
    }
    text
}

#[cfg(test)]
mod tests;
