//! actix-web, with the middleware around scopes.

use std::{net::TcpListener, thread};

use ::actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    body::SizedStream,
    rt::{self, System},
    web::{self, Data},
};
use actix_apikey::{ApiKey, ApiKeyMiddleware, FinishMiddleware, OnRevoked};
use tokio::sync::oneshot;

use super::{Running, Stop};
use crate::kinds::{Reply, World};

pub(super) fn start(world: World) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::spawn(move || {
        System::new().block_on(async move {
            let server = HttpServer::new(move || {
                let world = world.clone();
                App::new().app_data(Data::new(world.clone())).configure(|config| routes(config, &world))
            });
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
    let handlers = || web::resource("/{kind}").route(web::to(handle));
    let finishing = || handlers().wrap(FinishMiddleware::new());
    config
        .service(web::scope("/plain").service(handlers()).wrap(layer()))
        .service(web::scope("/off").service(handlers()).wrap(layer().on_revoked(OnRevoked::Finish)))
        .service(web::scope("/finish").service(finishing()).wrap(layer()))
        .service(web::scope("/nested").service(handlers()).wrap(layer()).wrap(layer()))
        .service(web::scope("/nested-finish").service(finishing()).wrap(layer()).wrap(layer()));
}

async fn handle(world: Data<World>, key: ApiKey, request: HttpRequest) -> HttpResponse {
    let world = World::clone(&world);
    match world.handle(request.path().to_owned(), key.0).await {
        Reply::Text(text) => HttpResponse::Ok().body(text),
        Reply::Body { source, length, last } => {
            let mut response = match length {
                Some(length) => HttpResponse::Ok().body(SizedStream::new(length, source)),
                None => HttpResponse::Ok().streaming(source),
            };
            if let Some(last) = last {
                response.extensions_mut().insert(last);
            }
            response
        }
    }
}
