// Bessel and Airy functions that ONNX lacks, as rational approximations and Chebyshev series
// (Cephes), which LibTorch uses too. All are computed in double.
#include <cmath>
#include <limits>
#include <numbers>
#include <span>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/linalg.h"

namespace modelexport::lowering {
namespace {

using std::numbers::pi;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Coefficients, that of the highest power first.
constexpr double kJ0PP[] = {7.96936729297347051624e-04, 8.28352392107440799803e-02,
                            1.23953371646414299388e+00, 5.44725003058768775090e+00,
                            8.74716500199817011941e+00, 5.30324038235394892183e+00,
                            9.99999999999999997821e-01};
constexpr double kJ0PQ[] = {9.24408810558863637013e-04, 8.56288474354474431428e-02,
                            1.25352743901058953537e+00, 5.47097740330417105182e+00,
                            8.76190883237069594232e+00, 5.30605288235394617618e+00,
                            1.00000000000000000218e+00};
constexpr double kJ0QP[] = {-1.13663838898469149931e-02, -1.28252718670509318512e+00,
                            -1.95539544257735972385e+01, -9.32060152123768231369e+01,
                            -1.77681167980488050595e+02, -1.47077505154951170175e+02,
                            -5.14105326766599330220e+01, -6.05014350600728481186e+00};
constexpr double kJ0QQ[] = {6.43178256118178023184e+01, 8.56430025976980587198e+02,
                            3.88240183605401609683e+03, 7.24046774195652478189e+03,
                            5.93072701187316984827e+03, 2.06209331660327847417e+03,
                            2.42005740240291393179e+02};
constexpr double kJ0RP[] = {-4.79443220978201773821e+09, 1.95617491946556577543e+12,
                            -2.49248344360967716204e+14, 9.70862251047306323952e+15};
constexpr double kJ0RQ[] = {4.99563147152651017219e+02, 1.73785401676374683123e+05,
                            4.84409658339962045305e+07, 1.11855537045356834862e+10,
                            2.11277520115489217587e+12, 3.10518229857422583814e+14,
                            3.18121955943204943306e+16, 1.71086294081043136091e+18};
constexpr double kJ1PP[] = {7.62125616208173112003e-04, 7.31397056940917570436e-02,
                            1.12719608129684925192e+00, 5.11207951146807644818e+00,
                            8.42404590141772420927e+00, 5.21451598682361504063e+00,
                            1.00000000000000000254e+00};
constexpr double kJ1PQ[] = {5.71323128072548699714e-04, 6.88455908754495404082e-02,
                            1.10514232634061696926e+00, 5.07386386128601488557e+00,
                            8.39985554327604159757e+00, 5.20982848682361821619e+00,
                            9.99999999999999997461e-01};
constexpr double kJ1QP[] = {5.10862594750176621635e-02, 4.98213872951233449420e+00,
                            7.58238284132545283818e+01, 3.66779609360150777800e+02,
                            7.10856304998926107277e+02, 5.97489612400613639965e+02,
                            2.11688757100572135698e+02, 2.52070205858023719784e+01};
constexpr double kJ1QQ[] = {7.42373277035675149943e+01, 1.05644886038262816351e+03,
                            4.98641058337653607651e+03, 9.56231892404756170795e+03,
                            7.99704160447350683650e+03, 2.82619278517639096600e+03,
                            3.36093607810698293419e+02};
constexpr double kJ1RP[] = {-8.99971225705559398224e+08, 4.52228297998194034323e+11,
                            -7.27494245221818276015e+13, 3.68295732863852883286e+15};
constexpr double kJ1RQ[] = {6.20836478118054335476e+02, 2.56987256757748830383e+05,
                            8.35146791431949253037e+07, 2.21511595479792499675e+10,
                            4.74914122079991414898e+12, 7.84369607876235854894e+14,
                            8.95222336184627338078e+16, 5.32278620332680085395e+18};
constexpr double kY0P[] = {1.55924367855235737965e+04, -1.46639295903971606143e+07,
                           5.43526477051876500413e+09, -9.82136065717911466409e+11,
                           8.75906394395366999549e+13, -3.46628303384729719441e+15,
                           4.42733268572569800351e+16, -1.84950800436986690637e+16};
constexpr double kY0Q[] = {1.04128353664259848412e+03, 6.26107330137134956842e+05,
                           2.68919633393814121987e+08, 8.64002487103935000337e+10,
                           2.02979612750105546709e+13, 3.17157752842975028269e+15,
                           2.50596256172653059228e+17};
constexpr double kY1P[] = {1.26320474790178026440e+09, -6.47355876379160291031e+11,
                           1.14509511541823727583e+14, -8.12770255501325109621e+15,
                           2.02439475713594898196e+17, -7.78877196265950026825e+17};
constexpr double kY1Q[] = {5.94301592346128195359e+02, 2.35564092943068577943e+05,
                           7.34811944459721705660e+07, 1.87601316108706159478e+10,
                           3.88231277496238566008e+12, 6.20557727146953693363e+14,
                           6.87141087355300489866e+16, 3.97270608116560655612e+18};
constexpr double kK0Small[] = {1.37446543561352307156e-16, 4.25981614279661018399e-14,
                               1.03496952576338420167e-11, 1.90451637722020886025e-09,
                               2.53479107902614945675e-07, 2.28621210311945178607e-05,
                               1.26461541144692592338e-03, 3.59799365153615016266e-02,
                               3.44289899924628486886e-01, -5.35327393233902768720e-01};
constexpr double kK0Large[] = {
    5.30043377268626276149e-18,  -1.64758043015242134646e-17, 5.21039150503902756861e-17,
    -1.67823109680541210385e-16, 5.51205597852431940784e-16,  -1.84859337734377901440e-15,
    6.34007647740507060557e-15,  -2.22751332699166985548e-14, 8.03289077536357521100e-14,
    -2.98009692317273043925e-13, 1.14034058820847496303e-12,  -4.51459788337394416547e-12,
    1.85594911495471785253e-11,  -7.95748924447710747776e-11, 3.57739728140030116597e-10,
    -1.69753450938905987466e-09, 8.57403401741422608519e-09,  -4.66048989768794782956e-08,
    2.76681363944501510342e-07,  -1.83175552271911948767e-06, 1.39498137188764993662e-05,
    -1.28495495816278026384e-04, 1.56988388573005337491e-03,  -3.14481013119645005427e-02,
    2.44030308206595545468e+00};
constexpr double kK1Small[] = {
    -7.02386347938628759343e-18, -2.42744985051936593393e-15, -6.66690169419932900609e-13,
    -1.41148839263352776110e-10, -2.21338763073472585583e-08, -2.43340614156596823496e-06,
    -1.73028895751305206302e-04, -6.97572385963986435018e-03, -1.22611180822657148235e-01,
    -3.53155960776544875667e-01, 1.52530022733894777053e+00};
constexpr double kK1Large[] = {
    -5.75674448366501715755e-18, 1.79405087314755922667e-17,  -5.68946255844285935196e-17,
    1.83809354436663880070e-16,  -6.05704724837331885336e-16, 2.03870316562433424052e-15,
    -7.01983709041831346144e-15, 2.47715442448130437068e-14,  -8.97670518232499435011e-14,
    3.34841966607842919884e-13,  -1.28917396095102890680e-12, 5.13963967348173025100e-12,
    -2.12996783842756842877e-11, 9.21831518760500529508e-11,  -4.19035475934189648750e-10,
    2.01504975519703286596e-09,  -1.03457624656780970260e-08, 5.74108412545004946722e-08,
    -3.50196060308781257119e-07, 2.40648494783721712015e-06,  -1.93619797416608296024e-05,
    1.95215518471351631108e-04,  -2.85781685962277938680e-03, 1.03923736576817238437e-01,
    2.72062619048444266945e+00};
constexpr double kAiryN[] = {3.46538101525629032477e-01, 1.20075952739645805542e+01,
                             7.62796053615234516538e+01, 1.68089224934630576269e+02,
                             1.59756391350164413639e+02, 7.05360906840444183113e+01,
                             1.40264691163389668864e+01, 9.99999999999999995305e-01};
constexpr double kAiryD[] = {5.67594532638770212846e-01, 1.47562562584847203173e+01,
                             8.45138970141474626562e+01, 1.77318088145400459522e+02,
                             1.64234692871529701831e+02, 7.14778400825575695274e+01,
                             1.40959135607834029598e+01, 1.00000000000000000470e+00};
constexpr double kAiryFN[] = {
    -1.31696323418331795333e-01, -6.26456544431912369773e-01, -6.93158036036933542233e-01,
    -2.79779981545119124951e-01, -4.91900132609500318020e-02, -4.06265923594885404393e-03,
    -1.59276496239262096340e-04, -2.77649108155232920844e-06, -1.67787698489114633780e-08};
constexpr double kAiryFD[] = {
    1.33560420706553243746e+01, 3.26825032795224613948e+01, 2.67367040941499554804e+01,
    9.18707402907259625840e+00, 1.47529146771666414581e+00, 1.15687173795188044134e-01,
    4.40291641615211203805e-03, 7.54720348287414296618e-05, 4.51850092970580378464e-07};
constexpr double kAiryGN[] = {
    1.97339932091685679179e-02, 3.91103029615688277255e-01, 1.06579897599595591108e+00,
    9.39169229816650230044e-01, 3.51465656105547619242e-01, 6.33888919628925490927e-02,
    5.85804113048388458567e-03, 2.82851600836737019778e-04, 6.98793669997260967291e-06,
    8.11789239554389293311e-08, 3.41551784765923618484e-10};
constexpr double kAiryGD[] = {9.30892908077441974853e+00, 1.98352928718312140417e+01,
                              1.55646628932864612953e+01, 5.47686069422975497931e+00,
                              9.54293611618961883998e-01, 8.64580826352392193095e-02,
                              4.12656523824222607191e-03, 1.01259085116509135510e-04,
                              1.17166733214413521882e-06, 4.91834570062930015649e-09};

Expr highest_first(Expr x, std::span<const double> coefficients) {
  Expr sum = coefficients[0] + 0.0 * x;
  for (double coefficient : coefficients.subspan(1)) sum = sum * x + coefficient;
  return sum;
}

Expr ratio(Expr x, std::span<const double> above, std::span<const double> below) {
  return highest_first(x, above) / highest_first(x, below);
}

// Clenshaw's summation, for an argument of twice the variable.
Expr chebyshev_series(Expr x, std::span<const double> coefficients) {
  Expr before = 0.0 * x, last = coefficients[0] + before, old = before;
  for (double coefficient : coefficients.subspan(1)) {
    old = before;
    before = last;
    last = x * before - old + coefficient;
  }
  return 0.5 * (last - old);
}

// The amplitude of both kinds of functions for large x, and its phase.
struct Wave {
  Expr cosine, sine;  // factors of cos(x - phase) and sin(x - phase) in the first kind
};

Wave wave(Expr x, std::span<const double> pp, std::span<const double> pq,
          std::span<const double> qp, std::span<const double> qq) {
  Expr square = 25.0 / (x * x), scale = std::sqrt(2.0 / pi) / sqrt(x);
  return {ratio(square, pp, pq) * scale, 5.0 / x * ratio(square, qp, qq) * scale};
}

Wave wave0(Expr x) { return wave(x, kJ0PP, kJ0PQ, kJ0QP, kJ0QQ); }
Wave wave1(Expr x) { return wave(x, kJ1PP, kJ1PQ, kJ1QP, kJ1QQ); }

Expr first_kind(Wave w, Expr angle) { return w.cosine * cos(angle) - w.sine * sin(angle); }
Expr second_kind(Wave w, Expr angle) { return w.cosine * sin(angle) + w.sine * cos(angle); }

Expr j0(Expr x) {
  Expr z = abs(x), square = x * x;
  Expr small = (square - 5.78318596294678452118) * (square - 30.4712623436620863991) *
               ratio(square, kJ0RP, kJ0RQ);
  return where(z <= 5.0, small, first_kind(wave0(z), z - pi / 4));
}

Expr j1(Expr x) {
  Expr z = abs(x), square = x * x;
  Expr small = ratio(square, kJ1RP, kJ1RQ) * x * (square - 14.6819706421238932572) *
               (square - 49.2184563216946036703);
  return where(z <= 5.0, small, sign(x) * first_kind(wave1(z), z - 0.75 * pi));
}

// -infinity at 0, and no number below.
Expr from_zero(Expr x, Expr value, double at_zero) {
  return where(equal(x, 0.0), at_zero, where(x < 0.0, kNan, value));
}

Expr y0(Expr x) {
  Expr small = ratio(x * x, kY0P, kY0Q) + 2.0 / pi * log(x) * j0(x);
  Expr value = where(x <= 5.0, small, second_kind(wave0(x), x - pi / 4));
  return from_zero(x, value, -kInfinity);
}

Expr y1(Expr x) {
  Expr small = x * ratio(x * x, kY1P, kY1Q) + 2.0 / pi * (j1(x) * log(x) - 1.0 / x);
  Expr value = where(x <= 5.0, small, second_kind(wave1(x), x - 0.75 * pi));
  return from_zero(x, value, -kInfinity);
}

// Power series of the modified functions of the first kind, for |x| <= 2.
Expr i0_near(Expr x) {
  Expr term = 0.25 * x * x, sum = 1.0 + term, power = term;
  for (int k = 2; k < 16; ++k) {
    power = power * term / static_cast<double>(k * k);
    sum = sum + power;
  }
  return sum;
}

Expr i1_near(Expr x) {
  Expr term = 0.25 * x * x, power = 0.5 * x, sum = power;
  for (int k = 1; k < 16; ++k) {
    power = power * term / static_cast<double>(k * (k + 1));
    sum = sum + power;
  }
  return sum;
}

Expr k0_near(Expr x) { return chebyshev_series(x * x - 2.0, kK0Small) - log(0.5 * x) * i0_near(x); }

Expr k1_near(Expr x) {
  return log(0.5 * x) * i1_near(x) + chebyshev_series(x * x - 2.0, kK1Small) / x;
}

Expr k0_far(Expr x) { return chebyshev_series(8.0 / x - 2.0, kK0Large) / sqrt(x); }
Expr k1_far(Expr x) { return chebyshev_series(8.0 / x - 2.0, kK1Large) / sqrt(x); }

Expr k0(Expr x) {
  return from_zero(x, where(x <= 2.0, k0_near(x), exp(-x) * k0_far(x)), kInfinity);
}
Expr k1(Expr x) {
  return from_zero(x, where(x <= 2.0, k1_near(x), exp(-x) * k1_far(x)), kInfinity);
}

Expr scaled_k0(Expr x) {
  return from_zero(x, where(x <= 2.0, k0_near(x) * exp(x), k0_far(x)), kInfinity);
}

Expr scaled_k1(Expr x) {
  return from_zero(x, where(x <= 2.0, k1_near(x) * exp(x), k1_far(x)), kInfinity);
}

Expr spherical_j0(Expr x) {
  Expr square = x * x;
  Expr series = polynomial(square, {1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880,
                                    -1.0 / 39916800, 1.0 / 6227020800});
  Expr value = where(abs(x) < 0.5, series, sin(x) / x);
  return where(is_infinite(x), 0.0, value);
}

// The power series around 0.
Expr airy_near(Expr x) {
  Expr cube = x * x * x, even = 1.0 + 0.0 * x, odd = x, first = even, second = odd;
  for (int k = 1; k < 18; ++k) {
    even = even * cube / static_cast<double>((3 * k - 1) * (3 * k));
    odd = odd * cube / static_cast<double>(3 * k * (3 * k + 1));
    first = first + even;
    second = second + odd;
  }
  return 0.355028053887817239260 * first - 0.258819403792806798405 * second;
}

Expr airy_ai(Expr x) {
  Expr size = abs(x), zeta = 2.0 / 3.0 * size * sqrt(size), z = 1.0 / zeta;
  const double scale = 1.0 / std::sqrt(pi);
  Expr root = sqrt(sqrt(size)), angle = zeta + 0.25 * pi;
  Expr below = scale / root *
               (sin(angle) * (1.0 + z * z * ratio(z * z, kAiryFN, kAiryFD)) -
                cos(angle) * z * ratio(z * z, kAiryGN, kAiryGD));
  Expr above = scale * ratio(z, kAiryN, kAiryD) / (2.0 * root * exp(zeta));
  Expr value = where(x < -2.09, below, where(x >= 2.09, above, airy_near(x)));
  return where(is_infinite(x), kNan, where(x > 103.892, 0.0, value));
}

// aten::special_spherical_bessel_j0(Tensor x) -> Tensor, and all others with one argument `x`
template <Expr (*F)(Expr)>
V of_x(Call& c) {
  return result(c, F(cast(Expr(c, c.tensor("x")), DType::f64)));
}

template <Expr (*F)(Expr)>
V of_self(Call& c) {
  return result(c, F(cast(Expr(c, c.tensor("self")), DType::f64)));
}

constexpr Row kRows[] = {
    {"aten::special_airy_ai", of_x<airy_ai>},
    {"aten::special_bessel_j0", of_self<j0>},
    {"aten::special_bessel_j1", of_self<j1>},
    {"aten::special_bessel_y0", of_self<y0>},
    {"aten::special_bessel_y1", of_self<y1>},
    {"aten::special_modified_bessel_k0", of_self<k0>},
    {"aten::special_modified_bessel_k1", of_self<k1>},
    {"aten::special_scaled_modified_bessel_k0", of_x<scaled_k0>},
    {"aten::special_scaled_modified_bessel_k1", of_x<scaled_k1>},
    {"aten::special_spherical_bessel_j0", of_x<spherical_j0>},
};

}  // namespace

std::span<const Row> bessel_rows() { return kRows; }

}  // namespace modelexport::lowering
