//! The generated code, module for module the packages of the contract.
#![expect(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]

pub mod countersign {
    pub mod common {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/countersign.common.v1.rs"));
            include!(concat!(env!("OUT_DIR"), "/countersign.common.v1.serde.rs"));
        }
    }
    pub mod statement {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/countersign.statement.v1.rs"));
            include!(concat!(env!("OUT_DIR"), "/countersign.statement.v1.serde.rs"));
        }
    }
    pub mod login {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/countersign.login.v1.rs"));
            include!(concat!(env!("OUT_DIR"), "/countersign.login.v1.serde.rs"));
        }
    }
    pub mod device {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/countersign.device.v1.rs"));
            include!(concat!(env!("OUT_DIR"), "/countersign.device.v1.serde.rs"));
        }
    }
}
