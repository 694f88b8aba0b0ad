//! Health and reflection through the accept loop, by the clients that others use.

use countersign::wire::Limits;
use prost::Message as _;
use tokio_stream::once;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{
    v1::{self, server_reflection_client::ServerReflectionClient as V1Client},
    v1alpha::{self, server_reflection_client::ServerReflectionClient as V1AlphaClient},
};

use super::{running::Running, soon};

const SERVICES: [&str; 6] = [
    "countersign.device.v1.DeviceService",
    "countersign.login.v1.LoginService",
    "countersign.login.v1.UserService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

async fn connect(server: &Running) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{}", server.address)).expect("an address");
    soon(endpoint.connect()).await.expect("the server listens")
}

async fn ask(
    server: &Running,
    question: v1::server_reflection_request::MessageRequest,
) -> v1::server_reflection_response::MessageResponse {
    let request = v1::ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let call = async {
        let mut client = V1Client::new(connect(server).await);
        client.server_reflection_info(once(request)).await?.into_inner().message().await
    };
    soon(call).await.expect("a stream").expect("an answer").message_response.expect("a message")
}

#[tokio::test]
async fn reflection_lists_the_services_and_resolves_what_errors_carry() {
    use v1::{server_reflection_request::MessageRequest, server_reflection_response::MessageResponse};
    let server = Running::start(Limits::default()).await;
    let MessageResponse::ListServicesResponse(list) =
        ask(&server, MessageRequest::ListServices(String::new())).await
    else {
        panic!("a list")
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, SERVICES);

    for symbol in [
        "countersign.login.v1.LoginService.CreateChallenge",
        "google.rpc.ErrorInfo",
        "google.rpc.BadRequest",
        "google.rpc.RetryInfo",
        "google.rpc.QuotaFailure",
        "google.rpc.Status",
        "google.protobuf.Timestamp",
        "google.protobuf.Duration",
        "google.protobuf.Any",
    ] {
        let question = MessageRequest::FileContainingSymbol(symbol.to_owned());
        let MessageResponse::FileDescriptorResponse(files) = ask(&server, question).await else {
            panic!("no file has {symbol}")
        };
        for import in imports(&files.file_descriptor_proto) {
            let answer = ask(&server, MessageRequest::FileByFilename(import.clone())).await;
            assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{import}");
        }
    }
}

fn imports(files: &[Vec<u8>]) -> Vec<String> {
    let decode = |file: &Vec<u8>| prost_types::FileDescriptorProto::decode(file.as_slice()).expect("a file");
    files.iter().map(decode).flat_map(|file| file.dependency).collect()
}

#[tokio::test]
async fn older_reflection_lists_the_same() {
    use v1alpha::{server_reflection_request::MessageRequest, server_reflection_response::MessageResponse};
    let server = Running::start(Limits::default()).await;
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = V1AlphaClient::new(connect(&server).await);
    let answers = soon(client.server_reflection_info(once(request))).await.expect("a stream");
    let answer = soon(answers.into_inner().message()).await.expect("a stream").expect("an answer");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!("a list") };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(names, SERVICES);
}

#[tokio::test]
async fn health_knows_the_server_and_its_services() {
    let server = Running::start(Limits::default()).await;
    let mut client = HealthClient::new(connect(&server).await);
    for service in ["", "countersign.login.v1.LoginService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = soon(client.check(request)).await.expect("an answer").into_inner();
        assert_eq!(answer.status().as_str_name(), "SERVING", "{service}");
    }
    let request = HealthCheckRequest { service: "no.Service".to_owned() };
    let status = soon(client.check(request)).await.expect_err("no such service");
    assert_eq!(status.code(), tonic::Code::NotFound);
}
