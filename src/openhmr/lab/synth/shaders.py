"""GLSL of the picture renderer. Camera axes x right, y down, z forward; colours are linear inside, sRGB at
the end."""

LIGHT = """
uniform vec3 harmonics[9]; uniform vec3 key_direction; uniform vec3 key_colour;
vec3 ambient(vec3 n) {
  return max(vec3(0.0), harmonics[0] * 0.282095 + 0.488603 * (harmonics[1] * n.y + harmonics[2] * n.z + harmonics[3] * n.x)
    + 1.092548 * (harmonics[4] * n.x * n.y + harmonics[5] * n.y * n.z + harmonics[7] * n.x * n.z)
    + harmonics[6] * 0.315392 * (3.0 * n.z * n.z - 1.0) + harmonics[8] * 0.546274 * (n.x * n.x - n.y * n.y));
}
float lit(sampler2D map, vec4 p, float bias, float spread) {   // share of four taps that the key light reaches
  float sum = 0.0;
  for (int i = 0; i < 4; i++) {
    vec2 offset = spread * vec2(float(i & 1) - 0.5, float(i >> 1) - 0.5);
    float nearest = texture(map, clamp(p.xy + offset, 0.001, 0.999)).r;
    sum += nearest < 0.999 && nearest + bias < p.z ? 0.0 : 0.25;
  }
  return sum;
}
"""

SKIN = (
    """#version 330
uniform vec4 bones[72];      // rows of 24 matrices (3,4): T-pose to camera
uniform vec4 lens;           // x_ndc = lens.x x/z + lens.z, y_ndc = lens.y y/z + lens.w
uniform float bias;          // metres towards the camera, depth only
uniform sampler2D shadow; uniform mat3 world_from_camera; uniform mat4 shadow_from_camera;
in vec3 position; in vec3 normal; in vec2 texture_point; in vec4 joint; in vec4 weight; in float upper;
out vec3 light; out vec3 rest; out vec2 uv; out float part;
"""
    + LIGHT
    + """
void main() {
  vec4 r0 = vec4(0), r1 = vec4(0), r2 = vec4(0);
  for (int i = 0; i < 4; i++) {
    int j = 3 * int(joint[i]); float w = weight[i];
    r0 += w * bones[j]; r1 += w * bones[j + 1]; r2 += w * bones[j + 2];
  }
  vec4 p = vec4(position, 1.0);
  vec3 seen = vec3(dot(r0, p), dot(r1, p), dot(r2, p));
  vec3 n = normalize(vec3(dot(r0.xyz, normal), dot(r1.xyz, normal), dot(r2.xyz, normal)));
  vec3 up = world_from_camera * n;
  // The meshes are fine enough for light at vertices; what lies between is smooth.
  float open = lit(shadow, shadow_from_camera * vec4(seen + 0.02 * n, 1.0), 0.045, 0.012);
  light = ambient(up) + key_colour * max(dot(up, key_direction), 0.0) * open;
  rest = position; uv = texture_point; part = upper;
  const float near = 0.05, far = 80.0;
  float z = max(seen.z - bias, near * 1.01);
  float depth = (far + near) / (far - near) - 2.0 * far * near / ((far - near) * z);
  gl_Position = vec4(lens.x * seen.x + lens.z * seen.z, lens.y * seen.y + lens.w * seen.z, depth * seen.z, seen.z);
}
"""
)

SURFACE = """#version 330
uniform sampler2D picture; uniform sampler2DArray patterns; uniform sampler2DArray logos;
uniform vec3 first[2]; uniform vec3 second[2]; uniform vec4 look[2];  // look: amount, pattern (-1 none), scale, turn
uniform float level[2];      // mean luminance of the texture's lower and upper part
uniform vec4 cut;            // beyond |x| > cut.x below the shoulders, or y < cut.y, there is no cloth
uniform vec4 logo;           // layer (-1 none), centre y, half size, -
uniform vec3 folds;          // layer, strength, scale of the creases of cloth
uniform vec3 factor;         // what the texture is multiplied with
uniform float see_through;   // 1: the texture's alpha counts
in vec3 light; in vec3 rest; in vec2 uv; in float part;
out vec4 colour;
void main() {
  if (abs(rest.x) > cut.x || rest.y < cut.y) discard;
  vec4 texel = texture(picture, uv);
  if (see_through > 0.5) {
    // A fixed screen-door instead of blending: strands need no sorting, and the four samples of a pixel average it out.
    vec2 q = mod(floor(gl_FragCoord.xy), 4.0);
    float threshold = fract(dot(q, vec2(0.3125, 0.8125)) + 0.25 * mod(q.x + q.y, 2.0));
    if (texel.a < 0.1 + 0.8 * threshold) discard;
  }
  vec3 c = texel.rgb * texel.rgb * factor;
  int k = part > 0.5 ? 1 : 0;
  vec3 want = first[k];
  if (look[k].y >= 0.0) {
    float s = sin(look[k].w), t = cos(look[k].w);
    vec2 at = mat2(t, s, -s, t) * vec2(rest.x + 0.7 * rest.z, rest.y) * look[k].z;
    want = mix(want, second[k], texture(patterns, vec3(at, look[k].y)).r);
  }
  float detail = clamp(dot(c, vec3(0.2126, 0.7152, 0.0722)) / level[k], 0.0, 2.0);
  c = mix(c, want * (0.25 + 0.75 * detail), look[k].x);
  if (logo.x >= 0.0 && part > 0.5 && rest.z > 0.0) {
    vec2 at = vec2(rest.x, rest.y - logo.y) / (2.0 * logo.z) + 0.5;
    if (all(greaterThan(at, vec2(0.0))) && all(lessThan(at, vec2(1.0)))) {
      vec4 mark = texture(logos, vec3(at, logo.x));
      c = mix(c, mark.rgb * mark.rgb * (0.4 + 0.6 * detail), mark.a);
    }
  }
  if (folds.y > 0.0) c *= 1.0 + folds.y * (texture(patterns, vec3(vec2(rest.x + 0.7 * rest.z, rest.y) * folds.z, folds.x)).r - 0.5);
  c *= light;
  c = c / (1.0 + 0.25 * max(c.r, max(c.g, c.b)));
  colour = vec4(sqrt(clamp(c, 0.0, 1.0)), 1.0);
}
"""

CASTER = """#version 330
uniform mat4 shadow_from_world; in vec3 position;
void main() { vec4 p = shadow_from_world * vec4(position, 1.0); gl_Position = vec4(2.0 * p.xyz - 1.0, 1.0); }
"""
EMPTY = """#version 330
void main() {}
"""

SCREEN = """#version 330
in vec2 corner; out vec2 at;
void main() { at = corner; gl_Position = vec4(corner, 0.0, 1.0); }
"""

PANORAMA = """#version 330
uniform sampler2D panorama; uniform mat3 world_from_camera; uniform float camera_height; uniform vec4 lens; uniform float eye_height;
in vec2 at; out vec4 colour;
void main() {
  vec3 look = world_from_camera * vec3((at - lens.zw) / lens.xy, 1.0);
  // Ground is seen from the camera's height, not from that of the panorama's tripod.
  if (look.y < 0.0) look.y *= eye_height / camera_height;
  look = normalize(look);
  vec2 where = vec2(atan(look.z, look.x) / 6.2831853, acos(clamp(look.y, -1.0, 1.0)) / 3.14159265);
  colour = vec4(textureLod(panorama, where, 0.0).rgb, 1.0);
}
"""

GROUND = """#version 330
uniform mat3 camera_from_world; uniform vec3 camera; uniform vec4 lens; uniform vec3 area;   // centre x, z and half side
in vec2 corner; out vec3 spot;
void main() {
  spot = vec3(area.x + area.z * corner.x, 0.0, area.y + area.z * corner.y);
  vec3 p = camera_from_world * (spot - camera);
  gl_Position = vec4(lens.x * p.x + lens.z * p.z, lens.y * p.y + lens.w * p.z, p.z - 0.1, p.z);
}
"""

GROUND_SHADE = (
    """#version 330
uniform sampler2D shadow; uniform mat4 shadow_from_world; uniform float softness;
uniform vec4 balls[11];      // centre and radius of parts of the body
in vec3 spot; out vec4 colour;
"""
    + LIGHT
    + """
void main() {
  vec4 p = shadow_from_world * vec4(spot, 1.0);
  float open = 0.0, covered = 1.0;
  for (int k = 0; k < 3; k++) open += lit(shadow, p, 0.02, softness * (float(k) + 0.3)) / 3.0;
  for (int i = 0; i < 11; i++) {
    vec3 d = balls[i].xyz - spot; float r = balls[i].w, far = max(dot(d, d), r * r);
    covered *= 1.0 - 0.9 * clamp(d.y * inversesqrt(far), 0.0, 1.0) * r * r / far;
  }
  vec3 sky = ambient(vec3(0.0, 1.0, 0.0)) + 1e-4, sun = key_colour * max(key_direction.y, 0.0);
  colour = vec4(sqrt((sky * covered + sun * open) / (sky + sun)), 1.0);   // multiplies the place
}
"""
)

PIECE = """#version 330
uniform vec4 lens;
in vec3 position; in vec3 normal; in vec2 texture_point; in vec3 tint;
out vec3 seen; out vec3 facing; out vec2 uv; out vec3 factor;
void main() {
  seen = position; facing = normal; uv = texture_point; factor = tint;
  const float near = 0.05, far = 80.0;
  float depth = (far + near) / (far - near) * position.z - 2.0 * far * near / (far - near);
  gl_Position = vec4(lens.x * position.x + lens.z * position.z, lens.y * position.y + lens.w * position.z, depth, position.z);
}
"""

PIECE_SHADE = (
    """#version 330
uniform sampler2D picture; uniform sampler2D shadow; uniform mat3 world_from_camera; uniform mat4 shadow_from_camera;
in vec3 seen; in vec3 facing; in vec2 uv; in vec3 factor;
out vec4 colour;
"""
    + LIGHT
    + """
void main() {
  vec3 n = normalize(facing), eye = -normalize(seen);
  if (dot(n, eye) < 0.0 && !gl_FrontFacing) n = -n;   // the inside of a sleeve
  vec3 up = world_from_camera * n;
  float open = lit(shadow, shadow_from_camera * vec4(seen + 0.002 * n, 1.0), 0.006, 0.008);
  float facing_key = max(dot(up, key_direction), 0.0);
  vec3 texel = texture(picture, uv).rgb;
  vec3 half_way = normalize(world_from_camera * eye + normalize(key_direction));
  float shine = 0.06 * pow(max(dot(up, half_way), 0.0), 24.0);
  vec3 c = texel * texel * factor * (ambient(up) + key_colour * facing_key * open) + key_colour * shine * open;
  c = c / (1.0 + 0.25 * max(c.r, max(c.g, c.b)));
  colour = vec4(sqrt(clamp(c, 0.0, 1.0)), 1.0);
}
"""
)
