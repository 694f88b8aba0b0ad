//! Compiles the contract without `protoc`: protox reads the .proto files, prost and tonic write the types,
//! pbjson their JSON form, and the descriptor set goes to where server reflection finds it.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: &[&str] = &[
    "countersign/common/v1/common.proto",
    "countersign/statement/v1/envelope.proto",
    "countersign/statement/v1/statements.proto",
    "countersign/login/v1/login_service.proto",
    "countersign/login/v1/user_service.proto",
    "countersign/device/v1/device_service.proto",
];

/// Messages with a secret in them: src/redacted.rs writes their `Debug`.
const SECRET: &[&str] = &[
    ".countersign.device.v1.EnrollRequest",
    ".countersign.device.v1.EnrollResponse",
    ".countersign.device.v1.GetOfferRequest",
    ".countersign.device.v1.TotpSecret",
    ".countersign.login.v1.ConfirmEnrollmentRequest",
    ".countersign.login.v1.CreateChallengeResponse",
    ".countersign.login.v1.IssueRecoveryCodeResponse",
    ".countersign.login.v1.StartEnrollmentResponse",
    ".countersign.login.v1.VerifyCodeRequest",
    ".countersign.statement.v1.DecisionStatement",
    ".countersign.statement.v1.Envelope",
    ".countersign.statement.v1.PushTarget.Apns",
    ".countersign.statement.v1.PushTarget.Fcm",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=countersign");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let descriptors = protox::compile(FILES, ["."])?;
    let encoded = descriptors.encode_to_vec();
    fs::write(out.join("contract.bin"), &encoded)?;

    tonic_prost_build::configure()
        .skip_debug(SECRET)
        // What is inside a message loses its `Debug` with it; this one has no secret.
        .type_attribute(".countersign.login.v1.CreateChallengeResponse.outcome", "#[derive(Debug)]")
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .client_mod_attribute(".", "#[cfg(feature = \"client\")]")
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .compile_fds(descriptors)?;
    pbjson_build::Builder::new().register_descriptors(&encoded)?.build(&[".countersign"])?;
    Ok(())
}
