// Figures as people read them.

const plain = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

export const count = (n) => (n == null ? '–' : n < 10 ? tenth.format(n) : plain.format(n));
export const percent = (share) => (share == null || !Number.isFinite(share) ? '–' : `${tenth.format(share * 100)} %`);
export const time = (ms) => clock.format(ms);

/** Microseconds. */
export function micros(us) {
  if (us == null) return '–';
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${us < 1e4 ? tenth.format(us / 1000) : plain.format(us / 1000)} ms`;
  return `${tenth.format(us / 1e6)} s`;
}

export function bytes(n) {
  if (n == null) return '–';
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (n < 1024) return `${n < 10 && unit !== 'B' ? tenth.format(n) : plain.format(n)} ${unit}`;
    n /= 1024;
  }
  return `${tenth.format(n)} TiB`;
}

/** Milliseconds, as two units at most. */
export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}
