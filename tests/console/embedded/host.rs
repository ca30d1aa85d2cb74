//! The host: its page with the element, its login, and the console behind it, on both servers.

use std::{future::ready, net::TcpListener, thread};

use actix_web::{App, HttpResponse, HttpServer, rt::System, web};
use apikey_console::{Console, Page};
use apikey_core::ScopeSet;
use apikey_manager::{Actor, KeyManager, OrganizationId, Rights};
use axum::{Router, routing::get};
use http::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, SET_COOKIE},
};
use tokio::sync::oneshot;

/// The host is as strict as the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The host's files: their paths, types and texts.
const FILES: [(&str, &str, &str); 3] = [
    ("/app/", "text/html; charset=utf-8", include_str!("../../page/host/index.html")),
    ("/app/host.css", "text/css", include_str!("../../page/host/host.css")),
    ("/app/host.js", "text/javascript", include_str!("../../page/host/host.js")),
];

/// The console behind the host's login.
fn console(keys: &KeyManager) -> Console {
    Console::new(keys).page(Page::new().title("Acme")).login(|request| {
        let cookies = request.headers.get("cookie")?.to_str().ok()?;
        let name = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("user="))?;
        let (organization, scopes) = match name {
            "alice" => ("acme", "keys:admin files:* billing:read"),
            "rita" => ("acme", "keys:read"),
            "carol" => ("acme", "files:read"),
            "olga" => ("large", "keys:admin files:* billing:read"),
            _ => return None,
        };
        let rights = Rights::scopes(ScopeSet::parse(scopes).ok()?);
        Actor::user(name, OrganizationId::new(organization).ok()?, rights).ok()
    })
}

/// Signs in whoever `/login?as=…` names.
fn cookie(query: Option<&str>) -> String {
    let name = query.and_then(|query| query.strip_prefix("as=")).unwrap_or("alice");
    format!("user={name}; HttpOnly; SameSite=Lax; Path=/")
}

/// Starts the host on axum, and returns the address of its page.
pub(super) async fn on_axum(keys: &KeyManager, stopped: oneshot::Receiver<()>) -> String {
    let log_in = async |uri: http::Uri| {
        (StatusCode::SEE_OTHER, [(SET_COOKIE, cookie(uri.query())), (LOCATION, "/app/".to_owned())])
    };
    let mut app = Router::new().route("/login", get(log_in)).nest_service("/keys", console(keys));
    for (path, content_type, text) in FILES {
        let headers = [(CONTENT_TYPE, content_type), (CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-store")];
        app = app.route(path, get(async move || (headers, text)));
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        tokio::select! {
            _ = axum::serve(listener, app) => {}
            _ = stopped => {}
        }
    });
    format!("http://{address}/app/")
}

/// Starts the host on actix-web, and returns the address of its page.
pub(super) fn on_actix(keys: &KeyManager, stopped: oneshot::Receiver<()>) -> String {
    let console = console(keys);
    let configure = move |app: &mut web::ServiceConfig| {
        let log_in = async |request: actix_web::HttpRequest| {
            HttpResponse::SeeOther()
                .insert_header(("set-cookie", cookie(request.uri().query())))
                .insert_header(("location", "/app/"))
                .finish()
        };
        app.route("/login", web::get().to(log_in)).service(actix_apikey::mount("/keys", console.clone()));
        for (path, content_type, text) in FILES {
            let answer = move || {
                let mut answer = HttpResponse::Ok();
                answer.insert_header(("content-type", content_type));
                answer.insert_header(("content-security-policy", POLICY));
                ready(answer.insert_header(("cache-control", "no-store")).body(text))
            };
            app.route(path, web::get().to(answer));
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        System::new().block_on(async move {
            let server = HttpServer::new(move || App::new().configure(configure.clone()));
            let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
            let handle = server.handle();
            actix_web::rt::spawn(server);
            drop(stopped.await);
            handle.stop(false).await;
        });
    });
    format!("http://{address}/app/")
}
