// The child of a flood: it ends at once. With FILLER it is as large as that many bytes, and looks at some.
#ifdef FILLER
namespace {
volatile char filler[FILLER] = {1};
}
int main() { return filler[0] + filler[FILLER / 2] + filler[FILLER - 1] - 1; }
#else
int main() {}
#endif
