//! The page's responses: the shell at the root, and its files under one folder.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{OriginalUri, Path, State},
    middleware::map_response_with_state,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
        LOCATION, REFERRER_POLICY, VARY,
    },
};
use sha2::{Digest, Sha256};

use super::{
    Page,
    assets::{self, Asset},
};

/// Files in the folder never change, because changed files get another folder.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Creates the page's routes. `public_path` is the path at which clients find the console, if known.
pub(crate) fn router(page: &Page, public_path: Option<&str>) -> Router {
    let site = Arc::new(Site::new(page, public_path));
    Router::new()
        .route("/", get(shell))
        .route("/apikey-console.js", get(element))
        .route("/assets/{folder}/{name}", get(asset))
        .layer(map_response_with_state(Arc::clone(&site), secured))
        .with_state(site)
}

/// A page that is ready to serve.
struct Site {
    shell: Bytes,
    /// The shell's entity tag, in quotes.
    etag: String,
    policy: HeaderValue,
    /// The name of the folder of the files.
    folder: String,
    /// The address of the script that defines the element.
    script: String,
    /// `true` if the shell's references are relative to its own address.
    is_relative: bool,
    assets: Vec<Arc<Asset>>,
}

impl Site {
    fn new(page: &Page, public_path: Option<&str>) -> Self {
        let assets = assets::with_theme(&page.theme);
        let folder = assets::folder(&assets);
        let root = public_path.map_or_else(String::new, |path| format!("{path}/"));
        let files = format!("{root}assets/{folder}/");
        let (reference, script) = (escaped(&files), format!("{files}app.js"));
        let sign_in = page.sign_in.as_ref().map(|address| format!(" sign-in=\"{}\"", escaped(address)));
        let shell = assets::SHELL.replace("{assets}/", &reference).replace("{sign-in}", &sign_in.unwrap_or_default());
        let shell = shell.replace("{title}", &escaped(&page.title));
        let etag = format!("\"{}\"", base16ct::lower::encode_string(&Sha256::digest(&shell)[..12]));
        let is_relative = public_path.is_none();
        Site { shell: shell.into(), etag, policy: policy(page.framed_by_self), folder, script, is_relative, assets }
    }
}

async fn shell(State(site): State<Arc<Site>>, OriginalUri(uri): OriginalUri, asked: HeaderMap) -> Response {
    if let (true, Some(last)) = (site.is_relative, uri.path().rsplit('/').next().filter(|last| !last.is_empty())) {
        // Relative references work only below a slash.
        return (StatusCode::PERMANENT_REDIRECT, [(LOCATION, format!("{last}/"))]).into_response();
    }
    let known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|tags| tags.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    let headers = [(ETAG, site.etag.as_str()), (CACHE_CONTROL, "no-cache"), (CONTENT_TYPE, "text/html; charset=utf-8")];
    match known.any(|tag| tag == site.etag || tag == "*") {
        true => (StatusCode::NOT_MODIFIED, headers).into_response(),
        false => (headers, site.shell.clone()).into_response(),
    }
}

/// Redirects pages of the host to the script that defines the element, in the folder of the current files.
async fn element(State(site): State<Arc<Site>>) -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, site.script.as_str()), (CACHE_CONTROL, "no-cache")]).into_response()
}

async fn asset(
    State(site): State<Arc<Site>>,
    Path((folder, name)): Path<(String, String)>,
    asked: HeaderMap,
) -> Response {
    match site.assets.iter().find(|asset| folder == site.folder && asset.name == name) {
        Some(asset) => file(asset, &asked),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Adds headers that keep other pages and foreign code away.
async fn secured(State(site): State<Arc<Site>>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, site.policy.clone());
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    response
}

fn file(asset: &Asset, asked: &HeaderMap) -> Response {
    let brotli = || takes(asked, "br").then(|| asset.brotli()).flatten().map(|bytes| ("br", bytes));
    let gzip = || takes(asked, "gzip").then(|| asset.gzip()).flatten().map(|bytes| ("gzip", bytes));
    let (encoding, bytes) = brotli().or_else(gzip).map_or((None, &asset.plain), |(name, bytes)| (Some(name), bytes));
    let mut response = Response::new(Body::from(bytes.clone()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, asset.content_type.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.extend(encoding.map(|encoding| (CONTENT_ENCODING, HeaderValue::from_static(encoding))));
    response
}

/// Returns `true` if `Accept-Encoding` names this encoding and doesn't give it the weight 0 (RFC 9110 §12.5.3).
fn takes(asked: &HeaderMap, encoding: &str) -> bool {
    let lists = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case(encoding) && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// Returns the policy: what the page may load, and who may show it in a frame.
fn policy(framed_by_self: bool) -> HeaderValue {
    let ancestors = if framed_by_self { "'self'" } else { "'none'" };
    HeaderValue::try_from(format!("{POLICY}; frame-ancestors {ancestors}")).unwrap_or(HeaderValue::from_static(POLICY))
}

/// Escapes text for HTML, also within attributes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
