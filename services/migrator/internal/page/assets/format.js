// How numbers, times and names are shown.

const count = new Intl.NumberFormat("en");
export const number = (n) => count.format(n);

export function size(bytes) {
  let unit = 0;
  while (bytes >= 999.95 && unit < 4) { bytes /= 1000; unit++; }
  return (unit === 0 ? Math.round(bytes) : bytes.toFixed(1)) + " " + ["B", "kB", "MB", "GB", "TB"][unit];
}

export function span(seconds) {
  if (!(seconds >= 0) || seconds > 1e8) return "";
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

const clock = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
export const moment = (time) => time ? clock.format(new Date(time)) : "";
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone; // in which they are

// A name may hold what turns or hides the text around it; <bdi> keeps directions
// apart, and what can't be seen is shown as a sign.
export const visible = (name) => name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\u{FFFD}");

export function expected(m) {
  const open = m.folders_listed + m.folders_failed + m.folders_skipped < m.folders_total || m.folders_total === 0;
  return open ? Math.max(m.bytes_total, m.bytes_expected) : m.bytes_total;
}

export function kind(m) {
  const failed = m.files_failed + m.folders_failed;
  if (m.state === "completed") return failed ? "partly" : "completed";
  if (m.state === "running" && !m.owner && m.status.startsWith("paused")) return "paused";
  return m.state;
}
