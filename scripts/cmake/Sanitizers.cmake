# -DMODELEXPORT_SANITIZE=address,undefined instruments all targets of this project.
set(MODELEXPORT_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=")
if(MODELEXPORT_SANITIZE)
  add_compile_options(-fsanitize=${MODELEXPORT_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${MODELEXPORT_SANITIZE})
endif()
