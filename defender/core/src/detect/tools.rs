//! Tools for moving to other machines.
use super::names::is_netcat;
use crate::ProcessEvent;

/// The tool's name.
pub(super) fn mark(process: &ProcessEvent) -> Option<&str> {
    process.named(|name| {
        is_netcat(name) || is_remote_shell(name) || is_transfer(name) || is_cluster_tool(name) || is_attack_tool(name)
    })
}

fn is_remote_shell(name: &str) -> bool {
    matches!(
        name,
        "ssh" | "slogin" | "mosh" | "mosh-client" | "dbclient" | "sshpass" | "autossh" | "telnet" | "rsh" | "rlogin"
    ) || matches!(
        name,
        "rexec" | "socat" | "socat1" | "xfreerdp" | "rdesktop" | "vncviewer" | "winexe" | "clusterssh" | "pssh"
    )
}

fn is_transfer(name: &str) -> bool {
    matches!(
        name,
        "scp" | "sftp" | "rsync" | "rcp" | "ftp" | "lftp" | "tftp" | "ncftp" | "smbclient" | "rclone" | "croc"
    )
}

fn is_cluster_tool(name: &str) -> bool {
    matches!(name, "kubectl" | "oc" | "helm" | "crictl" | "ctr" | "nerdctl" | "docker" | "podman" | "runc" | "k9s")
        || matches!(name, "salt" | "salt-ssh" | "knife" | "pdsh" | "session-manager-plugin")
        || name == "ansible"
        || name.starts_with("ansible-")
}

fn is_attack_tool(name: &str) -> bool {
    let name = name.strip_suffix(".py").or_else(|| name.strip_suffix(".exe")).unwrap_or(name);
    matches!(
        name,
        "psexec" | "wmiexec" | "smbexec" | "atexec" | "dcomexec" | "secretsdump" | "evil-winrm" | "crackmapexec"
    ) || matches!(
        name,
        "cme" | "nxc" | "netexec" | "responder" | "nmap" | "masscan" | "zmap" | "rustscan" | "fscan" | "hydra"
    ) || matches!(
        name,
        "medusa" | "proxychains" | "proxychains4" | "chisel" | "ligolo" | "frpc" | "ngrok" | "gs-netcat"
    ) || matches!(name, "msfconsole" | "peirates" | "kubeletctl" | "sliver-client" | "iodine" | "dnscat" | "dnscat2")
        || name.starts_with("impacket-")
}
