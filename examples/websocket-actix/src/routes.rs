//! What the service answers, and which scope each answer needs.

use std::sync::Arc;

use actix_apikey::{ApiKeyMiddleware, Authenticator, FinishMiddleware, KeyId, RequireScope, scopes};
use actix_web::{
    Error, HttpRequest, HttpResponse, rt,
    web::{self, Data, Path, Payload, ServiceConfig},
};

use crate::{keys::Keys, socket};

scopes! {
    /// What a key may do.
    pub(crate) Scopes {
        /// Open the socket.
        Live = "live",
        /// Revoke keys.
        Admin = "admin",
    }
}

struct Revoker {
    keys: Arc<Keys>,
    authenticator: Authenticator,
}

/// The routes, for each worker's application.
pub(crate) fn configure(keys: Arc<Keys>, authenticator: Authenticator) -> impl Fn(&mut ServiceConfig) + Clone {
    let revoker = Data::new(Revoker { keys, authenticator });
    move |config| {
        let with_key = || ApiKeyMiddleware::new(revoker.authenticator.clone());
        config
            .app_data(revoker.clone())
            // To actix a socket is a response's body, which the middleware would cut off without a word: the route may
            // finish, and closes by itself.
            .service(web::resource("/live").route(web::get().to(live)).wrap(FinishMiddleware).wrap(with_key()))
            // It is finished even if the key is the caller's own.
            .service(
                web::resource("/keys/{id}").route(web::delete().to(revoke)).wrap(FinishMiddleware).wrap(with_key()),
            )
            .route("/healthz", web::get().to(async || "ok"));
    }
}

/// The middleware has let the request in; from here on the socket looks after its key by itself.
async fn live(key: RequireScope<Live>, request: HttpRequest, body: Payload) -> Result<HttpResponse, Error> {
    let (response, session, messages) = actix_ws::handle(&request, body)?;
    rt::spawn(socket::serve(session, messages, key.into_key()));
    Ok(response)
}

/// Ends a key, and all that is under way with it. First where keys are looked up, then where they are remembered.
async fn revoke(_: RequireScope<Admin>, revoker: Data<Revoker>, id: Path<String>) -> HttpResponse {
    // What is no id is nobody's: nothing is left to be done.
    if let Ok(id) = KeyId::new(id.into_inner()) {
        revoker.keys.revoke(id.clone());
        revoker.authenticator.revoke(&id);
    }
    HttpResponse::NoContent().finish()
}
