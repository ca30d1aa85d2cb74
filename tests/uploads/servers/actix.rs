//! actix-web, as users run it.

use std::{net::TcpListener, thread};

use ::actix_web::{
    App, HttpServer,
    rt::{self, System},
    web::{self, Bytes, Data, PayloadConfig},
};
use actix_apikey::{ApiKey, ApiKeyMiddleware, RequireScope, RequireScopeMiddleware};
use support::stand::FilesWrite;
use tokio::sync::oneshot;

use super::{MAX_BODY, Running, Stop, World};

pub(super) fn start(world: World) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::spawn(move || {
        System::new().block_on(async move {
            let server = HttpServer::new(move || App::new().configure(|config| routes(config, &world)));
            let server = server.workers(1).disable_signals().listen_auto_h2c(listener).unwrap().run();
            let handle = server.handle();
            let server = rt::spawn(server);
            drop(stopped.await);
            handle.stop(false).await;
            drop(server.await);
        });
    });
    Running { address, _stop: Stop::Thread(stop) }
}

fn routes(config: &mut web::ServiceConfig, world: &World) {
    let layer = || ApiKeyMiddleware::new(world.stand.authenticator.clone());
    let guard = RequireScopeMiddleware::of::<FilesWrite>();
    let unbounded = PayloadConfig::new(usize::MAX);
    config
        .app_data(Data::new(world.clone()))
        .app_data(PayloadConfig::new(MAX_BODY))
        .service(web::resource("/guarded").app_data(unbounded).route(web::post().to(take)).wrap(guard).wrap(layer()))
        .service(web::resource("/files").route(web::post().to(upload)).wrap(layer()))
        .service(web::resource("/waits").route(web::to(wait)).wrap(layer()))
        .service(web::resource("/ignores").route(web::post().to(ignore)).wrap(layer()))
        .service(web::resource("/down").route(web::to(ignore)).wrap(ApiKeyMiddleware::new(world.down.clone())))
        .service(web::resource("/healthz").route(web::get().to(async || "ok")))
        .service(actix_apikey::mount("/keys", world.console()));
}

async fn take(body: Bytes) -> String {
    body.len().to_string()
}

async fn upload(_: RequireScope<FilesWrite>, body: Bytes) -> String {
    body.len().to_string()
}

async fn ignore(_: ApiKey) -> &'static str {
    ""
}

async fn wait(_: ApiKey, world: Data<World>) -> &'static str {
    world.entered.add_permits(1);
    std::future::pending().await
}
