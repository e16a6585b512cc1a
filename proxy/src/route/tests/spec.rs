//! Routes and requests as tests write them.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::route::{
    Action, BuildError, Built, HostPattern, PathPattern, Predicates, RequestView, Respond, Route,
    ValuePattern,
};

/// A route's predicates as text.
#[derive(Debug, Clone, Default)]
pub(super) struct Spec {
    pub(super) hosts: Vec<String>,
    pub(super) path: PathSpec,
    pub(super) methods: Vec<Method>,
    pub(super) headers: Vec<(String, Want)>,
    pub(super) query: Vec<(String, Want)>,
}

/// A path condition as text.
#[derive(Debug, Clone, Default)]
pub(super) enum PathSpec {
    #[default]
    Any,
    Exact(String),
    Prefix(String),
    Regex(String),
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Want {
    Present,
    Exact(String),
    Regex(String),
}

impl Spec {
    pub(super) fn hosts(mut self, hosts: &[&str]) -> Self {
        self.hosts = hosts.iter().map(|host| host.to_string()).collect();
        self
    }

    pub(super) fn method(mut self, method: Method) -> Self {
        self.methods.push(method);
        self
    }

    pub(super) fn header(mut self, name: &str, want: Want) -> Self {
        self.headers.push((name.to_owned(), want));
        self
    }

    pub(super) fn query(mut self, name: &str, want: Want) -> Self {
        self.query.push((name.to_owned(), want));
        self
    }

    /// Compiles it.
    pub(super) fn route(&self, id: usize) -> Route {
        let path = match &self.path {
            PathSpec::Any => Ok(PathPattern::Any),
            PathSpec::Exact(text) => PathPattern::exact(text),
            PathSpec::Prefix(text) => PathPattern::prefix(text),
            PathSpec::Regex(text) => PathPattern::regex(text),
        };
        let predicates = Predicates {
            hosts: self.hosts.iter().map(|host| HostPattern::parse(host).expect(host)).collect(),
            path: path.expect("a path"),
            methods: self.methods.clone().into(),
            headers: self
                .headers
                .iter()
                .map(|(name, want)| (HeaderName::try_from(name).expect(name), want.pattern()))
                .collect(),
            query: self.query.iter().map(|(name, want)| (name.as_str().into(), want.pattern())).collect(),
        };
        route(id, predicates)
    }
}

impl Want {
    fn pattern(&self) -> ValuePattern {
        match self {
            Self::Present => ValuePattern::Present,
            Self::Exact(text) => ValuePattern::Exact(text.as_str().into()),
            Self::Regex(text) => ValuePattern::regex(text).expect(text),
        }
    }
}

/// A route with these predicates, named after its id.
pub(super) fn route(id: usize, predicates: Predicates) -> Route {
    Route {
        id: id as u32,
        name: format!("r{id}").into(),
        predicates,
        action: Action::Respond(Respond {
            status: http::StatusCode::OK,
            content_type: "".into(),
            body: bytes::Bytes::new(),
        }),
        rewrite_path_prefix: None,
        rewrite_host: None,
        request_headers: Default::default(),
        response_headers: Default::default(),
        hedge: None,
        limits: None,
        priority: Default::default(),
    }
}

/// A table of `specs`, whose ids are their positions.
pub(super) fn build(specs: &[Spec]) -> Result<Built, Vec<BuildError>> {
    let routes = specs.iter().enumerate().map(|(id, spec)| spec.route(id)).collect();
    Built::new(1, routes, Vec::new(), Vec::new())
}

/// Any path.
pub(super) fn any() -> Spec {
    Spec::default()
}

/// An exact path.
pub(super) fn exact(path: &str) -> Spec {
    Spec { path: PathSpec::Exact(path.to_owned()), ..Spec::default() }
}

/// A prefix.
pub(super) fn prefix(path: &str) -> Spec {
    Spec { path: PathSpec::Prefix(path.to_owned()), ..Spec::default() }
}

/// A regex.
pub(super) fn regex(path: &str) -> Spec {
    Spec { path: PathSpec::Regex(path.to_owned()), ..Spec::default() }
}

/// A request that owns its parts.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
}

impl Request {
    /// `GET` with an URL without scheme, like `example.com/x?y`, or `*` as path.
    pub(super) fn get(url: &str) -> Self {
        let cut = url.find('/').unwrap_or(url.len());
        let (host, target) = url.split_at(cut);
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        Self {
            method: Method::GET,
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            headers: HeaderMap::new(),
        }
    }

    pub(super) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, HeaderValue::try_from(value).expect(value));
        self
    }

    /// As selection sees it.
    pub(super) fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
        }
    }
}
