//! actix-web with the middleware around each resource, and extractors for everything else.

use std::{
    net::{SocketAddr, TcpListener},
    thread,
};

use ::actix_web::{
    App, HttpResponse, HttpServer,
    http::header::{CACHE_CONTROL, CONTENT_LANGUAGE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    rt::{self, System},
    web::{self, Data},
};
use actix_apikey::{
    AnyOf, ApiKey, ApiKeyMiddleware, ApiKeyRejection, MaybeApiKey, Refusal, RequireScope, RequireScopeMiddleware,
};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{Handled, PUBLIC, Running, Stop, seen};
use crate::stand::{FilesRead, FilesWrite, Setting, Stand};

/// A server on its own thread, which ends on drop.
#[derive(Debug)]
pub(super) struct Handle {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Handle {
    pub(super) async fn stop(self) {
        drop(self.stop);
        drop(self.ended.await);
    }
}

pub(super) fn start(stand: &Stand) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let (layers, handled) = ([layer(stand), inner(stand)], Handled(stand.handled.clone()));
    let (stop, stopped) = oneshot::channel::<()>();
    let (end, ended) = oneshot::channel::<()>();
    thread::spawn(move || {
        let _end = end;
        System::new().block_on(async move {
            let server = HttpServer::new(move || {
                let handled = Data::new(handled.clone());
                App::new().app_data(handled).configure(|config| routes(config, &layers))
            });
            let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
            let handle = server.handle();
            let server = rt::spawn(server);
            drop(stopped.await);
            handle.stop(false).await;
            drop(server.await);
        });
    });
    Running { address, stop: Stop::Actix(Handle { stop, ended }) }
}

fn layer(stand: &Stand) -> ApiKeyMiddleware {
    let layer = ApiKeyMiddleware::new(stand.authenticator.clone());
    match stand.setting {
        Setting::Strip | Setting::OtherInside | Setting::PassThrough => layer.strip_credential(true),
        Setting::Responder => layer.responder(|rejection| {
            Refusal::new("text/plain", format!("no: {}", rejection.code()))
                .header(CACHE_CONTROL, HeaderValue::from_static("public"))
                .header(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"x\""))
                .header(RETRY_AFTER, HeaderValue::from_static("0"))
                .header(CONTENT_LANGUAGE, HeaderValue::from_static("en"))
        }),
        _ => layer,
    }
}

fn inner(stand: &Stand) -> ApiKeyMiddleware {
    ApiKeyMiddleware::new(stand.inner.clone()).strip_credential(stand.setting == Setting::Strip)
}

fn routes(config: &mut web::ServiceConfig, [layer, inner]: &[ApiKeyMiddleware; 2]) {
    let guard = RequireScopeMiddleware::of::<FilesRead>;
    let layered = |path: &str, route: ::actix_web::Route| web::resource(path).route(route).wrap(layer.clone());
    let nested = |path: &str, route: ::actix_web::Route| {
        web::resource(path).route(route).wrap(inner.clone()).wrap(layer.clone())
    };
    config
        .service(nested("/nested/whoami", web::to(whoami)))
        .service(nested("/nested/maybe", web::to(maybe)))
        .service(nested("/nested/headers", web::to(headers)))
        .service(layered("/whoami", web::to(whoami)))
        .service(layered("/maybe", web::to(maybe)))
        .service(layered("/read", web::to(read)))
        .service(layered("/write", web::to(write)))
        .service(layered("/both", web::to(both)))
        .service(layered("/either", web::to(either)))
        .service(layered("/two-guards", web::to(two_guards)))
        .service(web::resource("/guarded").route(web::to(whoami)).wrap(guard()).wrap(layer.clone()))
        .service(layered("/acme", web::to(acme)))
        .service(layered("/globex", web::to(globex)))
        .service(layered("/headers", web::to(headers)))
        .service(layered("/cacheable", web::to(cacheable)))
        .service(web::resource("/unlayered").route(web::to(whoami)))
        .service(web::resource("/unlayered-maybe").route(web::to(maybe)))
        .service(web::resource("/unlayered-guarded").route(web::to(whoami)).wrap(guard()));
}

type Organization = Result<String, ApiKeyRejection>;

async fn whoami(handled: Data<Handled>, key: ApiKey) -> String {
    handled.by(&key)
}

async fn maybe(handled: Data<Handled>, MaybeApiKey(key): MaybeApiKey) -> String {
    handled.by_anyone(key.as_ref())
}

async fn read(handled: Data<Handled>, key: RequireScope<FilesRead>) -> String {
    handled.by(&key)
}

async fn write(handled: Data<Handled>, key: RequireScope<FilesWrite>, _: web::Json<Value>) -> String {
    handled.by(&key)
}

async fn both(handled: Data<Handled>, key: RequireScope<(FilesRead, FilesWrite)>) -> String {
    handled.by(&key)
}

async fn either(handled: Data<Handled>, key: RequireScope<AnyOf<(FilesRead, FilesWrite)>>) -> String {
    handled.by(&key)
}

async fn two_guards(
    handled: Data<Handled>,
    reads: RequireScope<FilesRead>,
    writes: RequireScope<FilesWrite>,
    key: ApiKey,
) -> String {
    assert_eq!((reads.key_id(), writes.key_id()), (key.key_id(), key.key_id()));
    handled.by(&key)
}

async fn acme(handled: Data<Handled>, key: ApiKey) -> Organization {
    key.require_organization("acme")?;
    Ok(handled.by(&key))
}

async fn globex(handled: Data<Handled>, key: ApiKey) -> Organization {
    key.require_organization("globex")?;
    Ok(handled.by(&key))
}

async fn headers(handled: Data<Handled>, MaybeApiKey(key): MaybeApiKey, request: ::actix_web::HttpRequest) -> String {
    handled.by_anyone(key.as_ref());
    seen(|name| request.headers().get_all(name).count())
}

async fn cacheable(handled: Data<Handled>, key: ApiKey) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, PUBLIC))
        .content_type("text/plain; charset=utf-8")
        .body(handled.by(&key))
}
