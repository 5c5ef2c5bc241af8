// What is known of the cluster: all of it once, and then what changes.

export const known = {
  picture: { cluster: {}, workers: {}, queue: [], caches: {} },
  events: [],
  /** Of each worker: how many points there have been, and the last of them. */
  points: new Map(),
  mostPoints: 60,
  actions: [],
  /** How far this machine's clock is behind the cluster's. */
  skew: 0,
};

const EVENTS = 200;

export const now = () => Date.now() + known.skew;

export function takeAll(all) {
  known.picture = all.picture;
  known.events = all.events;
  known.actions = all.actions;
  known.mostPoints = all.most_points;
  known.skew = all.now - Date.now();
  known.points = new Map();
  takePoints(all.points);
}

/** Gives back what has changed: the workers, whether events came, whether points came. */
export function takeNews(news) {
  if (news.patch) patch(known.picture, news.patch);
  if (news.events) {
    const last = known.events.at(-1)?.seq ?? 0;
    known.events.push(...news.events.filter((event) => event.seq > last));
    known.events.splice(0, known.events.length - EVENTS);
  }
  if (news.points) takePoints(news.points);
}

function takePoints(points) {
  for (const [id, { count, points: more }] of Object.entries(points)) {
    const track = known.points.get(id) ?? { count: 0, points: [] };
    const fresh = Math.min(count - track.count, more.length);
    if (fresh > 0) track.points.push(...more.slice(-fresh));
    track.points.splice(0, track.points.length - known.mostPoints);
    track.count = count;
    known.points.set(id, track);
  }
  for (const id of known.points.keys()) {
    if (!(id in known.picture.workers)) known.points.delete(id);
  }
}

/** A merge patch (RFC 7386). */
function patch(target, changes) {
  for (const [key, change] of Object.entries(changes)) {
    if (change === null) delete target[key];
    else if (typeof change === 'object' && !Array.isArray(change)) {
      if (!(key in target) || typeof target[key] !== 'object' || target[key] === null) target[key] = {};
      patch(target[key], change);
    } else target[key] = change;
  }
}
