//! Receivers with certificates of authorities that are trusted, and of others.

use std::{error::Error, sync::Arc};

use apikey_manager::WebhookAnswer;
use apikey_webhooks::{Webhooks, WebhooksBuilder};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio_rustls::TlsAcceptor;

use super::{
    LOCAL, message,
    names::Script,
    receiver::{Call, Receiver},
    sent,
};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap()
}

/// Returns what accepts connections with a certificate for this name.
fn acceptor(authority: &Authority, name: &str) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Sends a message to `receiver.test`, and returns the answer and whether the receiver saw a request.
async fn send(webhooks: WebhooksBuilder, acceptor: TlsAcceptor) -> (WebhookAnswer, bool) {
    let receiver = Receiver::bind().await;
    let webhooks = webhooks.allow_internal_addresses(|address| address == LOCAL);
    let webhooks = webhooks.resolver(Script::new([&["127.0.0.1"]])).build().unwrap();
    let message = message(format!("https://receiver.test:{}/hook", receiver.address().port()));
    sent(&webhooks, &message, async {
        let Ok(stream) = acceptor.accept(receiver.connection().await).await else { return false };
        let mut call = Call::read(stream).await;
        call.write(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        true
    })
    .await
}

#[tokio::test]
async fn given_a_certificate_when_its_authority_is_trusted_then_the_message_arrives() {
    let authority = authority();
    let webhooks = Webhooks::builder().trust_certificates(authority.pem());
    let (answer, arrived) = send(webhooks, acceptor(&authority, "receiver.test")).await;
    assert_eq!((answer, arrived), (WebhookAnswer::status(204), true));
}

#[tokio::test]
async fn given_a_certificate_when_its_authority_is_unknown_then_no_request_is_sent() {
    let (answer, arrived) = send(Webhooks::builder(), acceptor(&authority(), "receiver.test")).await;
    assert!(!arrived);
    assert_eq!(answer.error.as_deref(), Some("invalid peer certificate: UnknownIssuer"));
}

#[tokio::test]
async fn given_a_certificate_when_it_is_for_another_name_then_no_request_is_sent() {
    let authority = authority();
    let webhooks = Webhooks::builder().trust_certificates(authority.pem());
    let (answer, arrived) = send(webhooks, acceptor(&authority, "other.test")).await;
    assert!(!arrived);
    let error = answer.error.unwrap();
    assert!(error.contains("not valid for name"), "{error}");
}

#[test]
fn given_a_certificate_when_it_can_not_be_read_then_no_sender_is_built() {
    let pem = "-----BEGIN CERTIFICATE-----\n~\n-----END CERTIFICATE-----";
    let error = Webhooks::builder().trust_certificates(pem).build().unwrap_err();
    assert_eq!(error.to_string(), "a trusted certificate can't be read");
    assert!(error.source().is_some());
}
