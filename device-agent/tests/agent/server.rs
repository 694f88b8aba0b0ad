//! Serves a script over a loopback socket, and checks what every device must get right.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use countersign_agent::{Account, Agent, Platform};
use countersign_proto::{
    device::{
        ChangeDeviceRequest, ChangeDeviceResponse, EnrollRequest, EnrollResponse, GetAccountRequest,
        GetAccountResponse, GetChallengeRequest, GetChallengeResponse, GetOfferRequest, GetOfferResponse,
        ListChallengesRequest, ListChallengesResponse, RespondRequest, RespondResponse, SubscribeRequest,
        SubscribeResponse,
        device_service_server::{DeviceService, DeviceServiceServer},
    },
    envelope,
    key::VerificationKey,
    statement::{
        CallStatement, DecisionStatement, DeviceChangeStatement, EnrollmentStatement, Envelope, PublicKey,
        device_change_statement::Change,
    },
    time::UnixTime,
};
use prost::Message as _;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc::unbounded_channel, task::JoinHandle};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    Code, Request, Response, Status,
    transport::{ServerTlsConfig, server::TcpIncoming},
};

use crate::script::{ManualClock, NOW, Script, link, refusal, refusal_with, server_id, token};

/// A scripted server. It ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

/// A server, and an agent on a state directory of its own.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) clock: ManualClock,
    pub(crate) agent: Agent,
    pub(crate) directory: TempDir,
}

struct Service(Arc<Mutex<Script>>);

impl Server {
    pub(crate) async fn start(now: UnixTime) -> Self {
        Self::start_with(now, None).await
    }

    pub(crate) async fn start_with(now: UnixTime, tls: Option<ServerTlsConfig>) -> Self {
        let script = Arc::new(Mutex::new(Script::new(now)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = DeviceServiceServer::new(Service(script.clone()));
        let mut builder = tonic::transport::Server::builder();
        if let Some(tls) = tls {
            builder = builder.tls_config(tls).unwrap();
        }
        let serving = builder.add_service(service).serve_with_incoming(TcpIncoming::from(listener));
        let task = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, script, task }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn link(&self) -> String {
        link(&self.origin()).to_string()
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// The methods that were called since the last time this was asked.
    pub(crate) fn take_calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.script().calls)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let server = Server::start(NOW).await;
        let clock = ManualClock::new(NOW);
        let directory = tempfile::tempdir().unwrap();
        let agent = agent(directory.path(), &clock);
        Self { server, clock, agent, directory }
    }

    /// With an account, and the calls for it forgotten.
    pub(crate) async fn enrolled() -> (Self, Account) {
        let stage = Self::new().await;
        let offer = stage.agent.inspect(&stage.server.link()).await.unwrap();
        let enrolled = stage.agent.accept(&offer, "Anna's laptop", Platform::Desktop).await.unwrap();
        stage.server.take_calls();
        (stage, enrolled.account)
    }

    /// Moves both clocks.
    pub(crate) fn set_time(&self, now: UnixTime) {
        self.server.script().now = now;
        self.clock.set(now);
    }
}

pub(crate) fn agent(directory: &Path, clock: &ManualClock) -> Agent {
    Agent::open(directory).unwrap().with_clock(Arc::new(clock.clone()))
}

impl Service {
    /// What happens to each call before it is carried out.
    fn begin(&self, method: &'static str) -> Result<MutexGuard<'_, Script>, Status> {
        let mut script = self.0.lock().unwrap();
        script.calls.push(method);
        script.refusal.take().map_or(Ok(script), Err)
    }

    /// [`Service::begin`] for a call that only reads: checks its call statement as the contract says.
    fn begin_read<R>(
        &self,
        method: &'static str,
        request: &Request<R>,
    ) -> Result<MutexGuard<'_, Script>, Status> {
        let script = self.begin(method)?;
        let bytes = |name: &str| request.metadata().get_bin(name).unwrap().to_bytes().unwrap();
        let key = PublicKey::decode(bytes("countersign-key-bin")).unwrap();
        let key = VerificationKey::from_wire(Some(&key)).unwrap();
        let call = Envelope::decode(bytes("countersign-call-bin")).unwrap();
        let call: CallStatement = envelope::open(&call, key).unwrap();
        assert_eq!(call.server_id, server_id());
        assert_eq!(call.device_id, script.account.device_id);
        assert_eq!(call.method, format!("/countersign.device.v1.DeviceService/{method}"));
        assert_eq!(script.enrollments.last().unwrap().public_key, Some(key.to_wire()));
        let issued_at = UnixTime::from_wire(call.issued_at.as_ref()).unwrap();
        let off = script.now.since(issued_at).max(issued_at.since(script.now));
        if off > Duration::from_mins(1) || script.skewed_for_ever {
            let metadata = [("server_time".to_owned(), script.now.as_seconds().to_string())].into();
            let text = "your clock differs";
            return Err(refusal_with(Code::Unauthenticated, "CLOCK_SKEW", text, metadata));
        }
        Ok(script)
    }
}

/// The answer, unless the script loses it on the way, as a broken proxy would.
fn end<T>(mut script: MutexGuard<'_, Script>, answer: T) -> Result<Response<T>, Status> {
    match script.lost_answers.checked_sub(1) {
        Some(left) => {
            script.lost_answers = left;
            Err(Status::unavailable("upstream connection reset"))
        }
        None => Ok(Response::new(answer)),
    }
}

#[tonic::async_trait]
impl DeviceService for Service {
    async fn get_offer(
        &self,
        request: Request<GetOfferRequest>,
    ) -> Result<Response<GetOfferResponse>, Status> {
        let script = self.begin("GetOffer")?;
        assert_eq!(request.get_ref().token, token().reveal());
        let answer = GetOfferResponse {
            offer: Some(envelope::sign(&script.offer, &script.offer_signed_by.key)),
            server_key: Some(script.offer_signed_by.statement.clone()),
            time_left: Some(pbjson_types::Duration { seconds: 600, nanos: 0 }),
            ..GetOfferResponse::default()
        };
        end(script, answer)
    }

    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        let mut script = self.begin("Enroll")?;
        let request = request.into_inner();
        let key = VerificationKey::from_wire(request.public_key.as_ref()).unwrap();
        let statement: EnrollmentStatement = envelope::open(&request.enrollment.unwrap(), key).unwrap();
        let offer = envelope::sign(&script.offer, &script.offer_signed_by.key);
        assert_eq!(request.token, token().reveal());
        assert_eq!(statement.server_id, server_id());
        assert_eq!(statement.offer_sha256, envelope::payload_digest(&offer));
        assert_eq!(statement.public_key, request.public_key);
        script.enrollments.push(statement);
        let answer = EnrollResponse {
            account: Some(script.account.clone()),
            confirmation_code: "123456".into(),
            totp: script.totp.clone(),
        };
        end(script, answer)
    }

    async fn get_account(
        &self,
        request: Request<GetAccountRequest>,
    ) -> Result<Response<GetAccountResponse>, Status> {
        let script = self.begin_read("GetAccount", &request)?;
        let mut account = script.account.clone();
        account.device_id = script.other_device.clone().unwrap_or(account.device_id);
        let answer = GetAccountResponse {
            account: Some(account),
            server_key: Some(script.present_key.statement.clone()),
            server_time: Some(script.now.to_wire()),
        };
        end(script, answer)
    }

    async fn list_challenges(
        &self,
        request: Request<ListChallengesRequest>,
    ) -> Result<Response<ListChallengesResponse>, Status> {
        let script = self.begin_read("ListChallenges", &request)?;
        let answer = ListChallengesResponse { challenges: script.challenges.clone() };
        end(script, answer)
    }

    async fn get_challenge(
        &self,
        request: Request<GetChallengeRequest>,
    ) -> Result<Response<GetChallengeResponse>, Status> {
        let script = self.begin_read("GetChallenge", &request)?;
        // Whatever is asked for: the device must see for itself whether it is that.
        let Some(challenge) = script.challenges.first().cloned() else {
            return Err(refusal(Code::NotFound, "CHALLENGE_NOT_FOUND", "there is no such challenge"));
        };
        end(script, GetChallengeResponse { challenge: Some(challenge) })
    }

    async fn respond(&self, request: Request<RespondRequest>) -> Result<Response<RespondResponse>, Status> {
        let mut script = self.begin("Respond")?;
        let request = request.into_inner();
        let key = VerificationKey::from_wire(request.public_key.as_ref()).unwrap();
        let decision: DecisionStatement = envelope::open(&request.decision.unwrap(), key).unwrap();
        assert_eq!(request.challenge_id, decision.challenge_id);
        script.decisions.push(decision);
        let answer = script.respond;
        end(script, answer)
    }

    type SubscribeStream = UnboundedReceiverStream<Result<SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let mut script = self.begin_read("Subscribe", &request)?;
        let told = script.streams.pop_front().unwrap_or_else(|| {
            let (silent, told) = unbounded_channel();
            script.silent_streams.push(silent);
            told
        });
        end(script, UnboundedReceiverStream::new(told))
    }

    async fn change_device(
        &self,
        request: Request<ChangeDeviceRequest>,
    ) -> Result<Response<ChangeDeviceResponse>, Status> {
        let mut script = self.begin("ChangeDevice")?;
        let request = request.into_inner();
        let key = VerificationKey::from_wire(request.public_key.as_ref()).unwrap();
        let change = request.change.unwrap();
        let statement: DeviceChangeStatement = envelope::open(&change, key).unwrap();
        let is_repeat = script.changes.contains(&change);
        script.changes.push(change);
        if !is_repeat {
            if statement.sequence <= script.account.sequence {
                return Err(refusal(Code::FailedPrecondition, "SEQUENCE_USED", "a later change was made"));
            }
            script.account.sequence = statement.sequence;
            if let Some(Change::NewKey(key)) = statement.change {
                script.enrollments.last_mut().unwrap().public_key = Some(key);
            }
        }
        let answer = ChangeDeviceResponse { account: Some(script.account.clone()) };
        end(script, answer)
    }
}
